// The second file of the consumer's program: each dependency that flame::flame brings can be included.
#include <flame/language.hpp>
#include <flame/version.hpp>

#include <png.h>
#include <zlib.h>
#include <Eigen/Core>
#include <boost/hana/define_struct.hpp>
#include <nlohmann/json.hpp>

int other() {
  const Eigen::Vector2f one = Eigen::Vector2f::Ones();
  return one.sum() == 2.0f && nlohmann::json::parse("{}").empty() && png_access_version_number() != 0 &&
                 zlibVersion() != nullptr
             ? 0
             : 1;
}
