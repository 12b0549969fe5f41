# flame_embed_texts(<source> <root> <files...>): writes a C++ source that defines flame::cuda_kernels::embedded_texts, the
# texts of the files by their paths below root, for the run-time compiler: no path is read when a program runs.
function(flame_embed_texts source root)
  string(CONCAT text "// Made by CMake: the headers that kernels are compiled from.\n"
                     "#include <flame/run/cuda/texts.hpp>\n\n"
                     "namespace flame::cuda_kernels {\n\nextern const embedded_text embedded_texts[] = {\n")
  foreach(file IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${root}/${file})
    file(READ ${root}/${file} content)
    # In pieces, since compilers limit the length of one literal.
    string(LENGTH "${content}" length)
    string(APPEND text "    {\"${file}\",\n")
    set(at 0)
    while(at LESS length)
      string(SUBSTRING "${content}" ${at} 8000 piece)
      string(APPEND text "R\"flame_(${piece})flame_\"\n")
      math(EXPR at "${at} + 8000")
    endwhile()
    string(APPEND text "    },\n")
  endforeach()
  string(APPEND text "    {nullptr, nullptr}};\n\n}  // namespace flame::cuda_kernels\n")
  set(old "")
  if(EXISTS ${source})
    file(READ ${source} old)
  endif()
  if(NOT old STREQUAL text)
    file(WRITE ${source} "${text}")
  endif()
endfunction()
