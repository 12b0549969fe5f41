// The second file of the consumer's program: each dependency that flame::flame brings can be included.
#include <flame/language.hpp>
#include <flame/version.hpp>

#include <png.h>
#include <zlib.h>
#include <boost/hana/define_struct.hpp>
#include <nlohmann/json.hpp>

int other() {
  return nlohmann::json::parse("{}").empty() && png_access_version_number() != 0 &&
                 zlibVersion() != nullptr
             ? 0
             : 1;
}
