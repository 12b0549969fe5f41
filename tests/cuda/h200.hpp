// An H200 in the words of cuDNN, so that plans can be made where there is none.
#pragma once

namespace flame::cuda_tests {

inline constexpr const char* h200 =
    R"({"deviceVer":900,"deviceName":"NVIDIA H200","driverVer":13000,"cudaDeviceId":0,
"multiProcessorCount":132,"smVersion":900,"smClockRateKHz":1980000,"memClockRateKHz":3201000,
"totalGlobalMem":150000000000,"l2CacheSize":62914560,"maxCtasPerSM":32,"maxRegistersPerSM":65536,
"maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":232448,"reservedSharedMemoryPerBlock":1024,
"maxThreadsPerBlock":1024,"maxThreadsPerSM":2048,"regsPerBlock":65536,"warpSize":32,"pciDeviceId":0,"isTccDriver":0,
"supportCoopLaunch":1,"maxBlockSize":[1024,1024,64],"maxGridSize":[2147483647,65535,65535]})";

}  // namespace flame::cuda_tests
