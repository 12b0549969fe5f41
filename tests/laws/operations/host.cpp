// The host for the laws of operations.
#include "../host_definitions.hpp"
