// Makes the kernels of a list ready as a program's first step does, for sm_90 and without a GPU: what of its
// time is the compiler's, or the disk's.
//
// first_step empty LIST FOLDER: from an empty cache in FOLDER. first_step kept LIST FOLDER: from one that is
// left there.
#include <flame/run/cuda/kernel_images.hpp>

#include <cstdio>
#include <fstream>

int main(int count, char** words) try {
  using namespace flame::cuda_kernels;
  const std::string how = count == 4 ? words[1] : "";
  if (how != "empty" && how != "kept") throw flame::error("first_step (empty|kept) LIST FOLDER");
  std::vector<std::string> names;
  std::ifstream list(words[2]);
  for (std::string line; std::getline(list, line);)
    if (!line.empty() && line[0] != '#') names.push_back(line);
  if (names.empty()) throw flame::error("first_step: the list names no kernel");
  const std::filesystem::path folder =
      std::filesystem::path(words[3]) / (how == "kept" ? how : std::to_string(::getpid()));
  kernel_images images(90, disk_cache(folder));
  const std::size_t found = images.get(names).size();
  std::printf("%zu kernels, %d compiled, %d from disk\n", found, images.compiled(), images.from_disk());
  if (how == "empty" && images.compiled() != static_cast<int>(names.size()))
    throw flame::error("first_step: the cache was not empty");
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
