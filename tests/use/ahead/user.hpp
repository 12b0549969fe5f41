// What the two files of this program share.
#pragma once
#include <string>
#include <vector>

// The kernels that user.cu starts, planned without a GPU.
std::vector<std::string> names_of_waves();
// Runs them on a GPU: the sum of waves, of which there are count.
float sum_of_waves(long long count);
