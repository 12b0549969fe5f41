// The host for the comparison with PyTorch.
#include "../../laws/host_definitions.hpp"
