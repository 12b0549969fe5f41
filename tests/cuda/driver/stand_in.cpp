// Stands in for CUDA's driver where there is none, so that cuDNN compiles its kernels for a described device
// and makes plans ready that nobody runs: code is loaded to nowhere, everything else says that this driver is
// a stub (34), as the toolkit's own does.
extern "C" {

int cuDriverGetVersion(int* version) {
  *version = 13000;
  return 0;
}

#define FLAME_HANDS_OUT(name) \
  int name(void** to, ...) {  \
    static int nothing;       \
    *to = &nothing;           \
    return 0;                 \
  }
FLAME_HANDS_OUT(cuLibraryLoadData)
FLAME_HANDS_OUT(cuLibraryGetKernel)
FLAME_HANDS_OUT(cuLibraryGetModule)
FLAME_HANDS_OUT(cuKernelGetFunction)
FLAME_HANDS_OUT(cuModuleLoadData)
FLAME_HANDS_OUT(cuModuleGetFunction)

#define FLAME_SAYS(code, name) \
  int name(...) { return code; }
FLAME_SAYS(0, cuLibraryUnload)
FLAME_SAYS(0, cuModuleUnload)
FLAME_SAYS(0, cuKernelSetAttribute)
FLAME_SAYS(0, cuFuncSetAttribute)
#define FLAME_IS_A_STUB(name) FLAME_SAYS(34, name)
FLAME_IS_A_STUB(cuInit)
FLAME_IS_A_STUB(cuLaunchKernel)
FLAME_IS_A_STUB(cuLaunchKernelEx)
FLAME_IS_A_STUB(cuLaunchCooperativeKernel)
FLAME_IS_A_STUB(cuLinkCreate)
FLAME_IS_A_STUB(cuLinkCreate_v2)
FLAME_IS_A_STUB(cuLinkAddData)
FLAME_IS_A_STUB(cuLinkAddData_v2)
FLAME_IS_A_STUB(cuLinkAddFile_v2)
FLAME_IS_A_STUB(cuLinkComplete)
FLAME_IS_A_STUB(cuLinkDestroy)
FLAME_IS_A_STUB(cuGetErrorString)
FLAME_IS_A_STUB(cuGetErrorName)
FLAME_IS_A_STUB(cuGetProcAddress)
FLAME_IS_A_STUB(cuGetProcAddress_v2)
FLAME_IS_A_STUB(cuGetExportTable)
FLAME_IS_A_STUB(cuDeviceGet)
FLAME_IS_A_STUB(cuDeviceGetCount)
FLAME_IS_A_STUB(cuDeviceGetAttribute)
FLAME_IS_A_STUB(cuDevicePrimaryCtxRetain)
FLAME_IS_A_STUB(cuDevicePrimaryCtxRelease)
FLAME_IS_A_STUB(cuDevicePrimaryCtxReset)
FLAME_IS_A_STUB(cuCtxGetCurrent)
FLAME_IS_A_STUB(cuCtxGetDevice)
FLAME_IS_A_STUB(cuCtxGetLimit)
FLAME_IS_A_STUB(cuCtxPushCurrent)
FLAME_IS_A_STUB(cuCtxPopCurrent)
FLAME_IS_A_STUB(cuStreamGetCtx)
FLAME_IS_A_STUB(cuStreamSynchronize)
FLAME_IS_A_STUB(cuOccupancyMaxActiveBlocksPerMultiprocessor)
FLAME_IS_A_STUB(cuOccupancyMaxPotentialClusterSize)
FLAME_IS_A_STUB(cuTensorMapEncodeTiled)
FLAME_IS_A_STUB(cuLibraryLoadFromFile)
FLAME_IS_A_STUB(cuKernelGetAttribute)
FLAME_IS_A_STUB(cuFuncGetAttribute)
FLAME_IS_A_STUB(cuModuleLoadDataEx)
FLAME_IS_A_STUB(cuModuleLoadFatBinary)
FLAME_IS_A_STUB(cuModuleGetGlobal_v2)
FLAME_IS_A_STUB(cuMemcpyDtoH_v2)

}  // extern "C"
