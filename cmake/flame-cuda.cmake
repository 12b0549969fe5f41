# What the cuda backend links, where it is: the target flame::cuda_libraries. CUDA is optional; without it, or without
# cuDNN, there is no such target, and flame_cuda_missing says what was not found, in words.
set(flame_cuda_missing)

if(NOT TARGET CUDA::cudart)
  find_package(CUDAToolkit 12.8 QUIET)  # cudaLibraryLoadData, edges of graphs
endif()
foreach(library cudart nvrtc cublasLt)
  if(NOT TARGET CUDA::${library})
    list(APPEND flame_cuda_missing "${library} of CUDA 12.8 or newer")
  endif()
endforeach()

find_path(FLAME_CUDNN_INCLUDE cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ENV CUDNN_PATH PATH_SUFFIXES include
          DOC "Folder of cudnn.h, optional")
find_library(FLAME_CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 HINTS ${CUDAToolkit_LIBRARY_DIR} ENV CUDNN_PATH
             PATH_SUFFIXES lib lib64 DOC "cuDNN 9, optional")
if(NOT FLAME_CUDNN_INCLUDE OR NOT FLAME_CUDNN_LIBRARY)
  # Python's packages of NVIDIA's bring it too; PyTorch has them.
  find_program(FLAME_PYTHON python3 DOC "Python 3")
  set(folder)
  if(FLAME_PYTHON)
    execute_process(COMMAND ${FLAME_PYTHON} -c "import nvidia.cudnn; print(list(nvidia.cudnn.__path__)[0])"
                    OUTPUT_VARIABLE folder OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  if(EXISTS "${folder}/include/cudnn.h" AND EXISTS "${folder}/lib/libcudnn.so.9")
    set(FLAME_CUDNN_INCLUDE ${folder}/include CACHE PATH "Folder of cudnn.h, optional" FORCE)
    set(FLAME_CUDNN_LIBRARY ${folder}/lib/libcudnn.so.9 CACHE FILEPATH "cuDNN 9, optional" FORCE)
  else()
    list(APPEND flame_cuda_missing "cuDNN 9")
  endif()
endif()

if(NOT flame_cuda_missing AND NOT TARGET flame::cuda_libraries)
  add_library(flame_cuda_libraries INTERFACE)
  add_library(flame::cuda_libraries ALIAS flame_cuda_libraries)
  target_include_directories(flame_cuda_libraries SYSTEM INTERFACE ${FLAME_CUDNN_INCLUDE})
  target_link_libraries(flame_cuda_libraries INTERFACE CUDA::cudart CUDA::nvrtc CUDA::cublasLt ${FLAME_CUDNN_LIBRARY})
endif()
if(flame_cuda_missing)
  list(JOIN flame_cuda_missing ", " missing)
  message(STATUS "CUDA libraries: not found: ${missing}; their tests are left out")
endif()
