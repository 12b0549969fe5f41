// SDXL's blocks and a small UNet against diffusers and peft in f64 (tests/parity/unet.py): values, the
// gradients of inputs, of every parameter and of adapters.
#include <doctest/doctest.h>

#include <flame/io/checkpoint.hpp>
#include <flame/model/sdxl.hpp>
#include <flame/run/create.hpp>
#include <flame/train/step.hpp>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

using namespace flame;
using namespace flame::stable_diffusion;

namespace {

// What unet.py calls words: splitmix64 of a name, counted up.
struct words {
  u64 seed = 0xcbf29ce484222325;
  explicit words(const std::string& name) {
    for (char c : name) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  [[nodiscard]] u64 operator[](std::size_t i) const {
    u64 z = seed + (i + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
};

double uniform_word(u64 word) { return static_cast<double>(word >> 11) / 4503599627370496.0 - 1; }

// Values of a weight or, with a scale, of an input, in PyTorch's layout.
std::vector<double> generated(const std::string& name, const std::vector<i64>& shape, double scale = 0) {
  i64 count = 1, fan = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) count *= shape[i], fan *= i ? shape[i] : 1;
  const double by = scale != 0                                       ? scale
                    : shape.size() >= 2 && !name.ends_with("lora_B") ? std::sqrt(3 / static_cast<double>(fan))
                    : name.ends_with("lora_B")                       ? 0.05
                                                                     : 0.2;
  const bool norm =
      scale == 0 && shape.size() < 2 && name.find("norm") != name.npos && name.ends_with("weight");
  const words all(name);
  std::vector<double> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(uniform_word(all[i]) * by + (norm ? 1 : 0));
  return values;
}

// [batch, channel, height, width] as [batch, height, width, channel], and back.
std::vector<double> turned(const std::vector<double>& from, i64 batches, i64 channels, i64 pixels,
                           bool back) {
  std::vector<double> to(from.size());
  for (i64 b = 0; b < batches; ++b)
    for (i64 c = 0; c < channels; ++c)
      for (i64 p = 0; p < pixels; ++p) {
        const auto planar = static_cast<std::size_t>((b * channels + c) * pixels + p),
                   last = static_cast<std::size_t>((b * pixels + p) * channels + c);
        to[back ? planar : last] = from[back ? last : planar];
      }
  return to;
}

struct reference_file {
  safetensors::reader file{std::string(std::getenv("FLAME_TESTS")) + "/parity/data/unet.safetensors"};

  [[nodiscard]] std::vector<double> values(const std::string& name) const {
    const safetensors::tensor_entry& e = file.at(name);
    std::vector<double> v(e.bytes / sizeof(double));
    std::memcpy(v.data(), e.data, e.bytes);
    return v;
  }
  [[nodiscard]] nlohmann::json about(const std::string& name) const {
    return nlohmann::json::parse(file.metadata().at(name));
  }
};

// How far a gradient is from the file's, over its norm, or over `largest` where it is zero in the file: from
// sums with random signs.
double distance(const std::vector<double>& expected, const std::string& path,
                const std::vector<double>& gradient, double largest) {
  const words signs("sketch." + path);
  std::vector<double> sums(expected.size() - 1);
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const u64 bits = signs[i];
    for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += bits >> k & 1 ? -gradient[i] : gradient[i];
  }
  double square = 0;
  for (std::size_t k = 0; k < sums.size(); ++k) square += std::pow(sums[k] - expected[k + 1], 2);
  return std::sqrt(square / static_cast<double>(sums.size())) / (expected[0] > 0 ? expected[0] : largest);
}

constexpr double limit = 1e-5;  // of f32

template <class Tensor> Tensor tensor_of(const std::vector<double>& values, std::vector<i64> extents) {
  Tensor t(std::move(extents));
  for (std::size_t i = 0; i < values.size(); ++i)
    t.values()[i] = static_cast<typename Tensor::element_type>(values[i]);
  return t;
}

// The weights of a model by their names in PyTorch's layout.
template <class Model> void generate(const Model& m) {
  using E = typename Model::element_type;
  for (const weight& w : m.weights()) {
    if (w.is_idle() || w.path == "x" || w.path == "text" || w.path == "emb" || !w.is_parameter()) continue;
    const std::vector<i64> shape = flame::detail::file_shape(w);
    std::vector<double> values = generated(w.path, shape);
    if (flame::detail::is_convolution(w))
      values = flame::detail::reordered<double>(w.extents, values.data(), false);
    for (std::size_t i = 0; i < values.size(); ++i) m.values(w)[i] = static_cast<E>(values[i]);
  }
}

// Trains nothing: one step, then every gradient against the file's.
template <class Model, class Step>
void compare(const reference_file& f, const std::string& name, const Model& m, Step& step, i64 batches) {
  using E = typename Model::element_type;
  std::size_t compared = 0;
  double worst = 0, largest = 0;
  for (const auto& e : f.file.entries())
    if (e.name.starts_with(name + ".gradient.")) largest = std::max(largest, f.values(e.name)[0]);
  std::string worst_path;
  for (const weight& w : m.weights()) {
    if (w.is_idle() || !w.is_parameter()) continue;
    std::span<const E> g = step.gradient(w.path);
    std::vector<double> ours(g.begin(), g.end());
    if (w.path == "x")
      ours = turned(ours, batches, w.extents[3], w.extents[1] * w.extents[2], true);
    else if (flame::detail::is_convolution(w))
      ours = flame::detail::reordered<double>(w.extents, ours.data(), true);
    const double far = distance(f.values(name + ".gradient." + w.path), w.path, ours, largest);
    INFO(name, " ", w.path, ": ", far);
    CHECK(far <= limit);
    if (far > worst) worst = far, worst_path = w.path;
    ++compared;
  }
  std::size_t expected = 0;
  for (const auto& e : f.file.entries()) expected += e.name.starts_with(name + ".gradient.");
  CHECK(compared == expected);
  MESSAGE(name, ": ", compared, " gradients, at most ", worst, " (", worst_path, ")");
}

template <class E>
void compare_output(const reference_file& f, const std::string& name, std::span<const E> ours, i64 batches,
                    i64 channels, i64 pixels) {
  const std::vector<double> expected = f.values(name + ".output");
  const std::vector<double> given =
      turned(std::vector<double>(ours.begin(), ours.end()), batches, channels, pixels, true);
  REQUIRE(given.size() == expected.size());
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < given.size(); ++i)
    difference += std::pow(given[i] - expected[i], 2), norm += expected[i] * expected[i];
  INFO(name, " output: ", std::sqrt(difference / norm));
  CHECK(std::sqrt(difference / norm) <= limit);
}

// Each net has parameters beside it, zeros that are added to its inputs: their gradients are the inputs'.
// ---- The residual block ----

template <class Place> struct probed_residual {
  using net_type = residual_block<Place, channel<0>, channel<1>, condition>;
  BOOST_HANA_DEFINE_STRUCT(probed_residual,
                           (param<Place, "x", initial::zeros, batch, height, width, channel<0>>, x),
                           (param<Place, "emb", initial::zeros, batch, condition>, emb), (net_type, net));
  constexpr auto operator()(const auto& image, const auto& time) const { return net(image + x, time + emb); }
};
template <class Place> struct probed_same_residual {
  using net_type = residual_block<Place, channel<0>, channel<0>, condition>;
  BOOST_HANA_DEFINE_STRUCT(probed_same_residual,
                           (param<Place, "x", initial::zeros, batch, height, width, channel<0>>, x),
                           (param<Place, "emb", initial::zeros, batch, condition>, emb), (net_type, net));
  constexpr auto operator()(const auto& image, const auto& time) const { return net(image + x, time + emb); }
};

// A block that keeps its channels has no shortcut.
template <class Out>
using on_residual =
    std::conditional_t<std::is_same_v<Out, channels<0>>, adapters<"conv1", "conv2", "time_emb_proj">,
                       adapters<"conv1", "conv2", "conv_shortcut", "time_emb_proj">>;
auto weighed = [](auto m, auto target, auto a, auto b) { return sum(m(a, b) * target); };
auto weighed_net = [](auto m, auto target, auto a, auto b, auto c, auto d, auto e) {
  return sum(m(a, b, c, d, e) * target);
};
auto run = [](auto m, auto... inputs) { return m(inputs...); };

template <template <class> class Net, const auto& Out, class E> void residual(const std::string& name) {
  const reference_file f;
  const auto about = f.about(name);
  const i64 b = about["batch"], h = about["height"], w = about["width"], from = about["channels"][0],
            to = about["channels"][1], e = about["condition"], rank = about["rank"];
  model_extents given;
  given.axes = {batch == b, height == h, width == w, channel<0> == from, condition == e};
  if (!std::is_same_v<tag_of<Out>, channels<0>>) given.axes.push_back(Out == to);
  if (rank) given.adapted = {{.path = "*", .rank = rank, .alpha = 2.0 * static_cast<double>(rank)}};
  const auto m = init<Net, host, E, on_residual<tag_of<Out>>>(key(0), given);
  generate(m);
  using image = basic_tensor<host, E, tag_of<batch>, tag_of<height>, tag_of<width>, channels<0>>;
  using result = basic_tensor<host, E, tag_of<batch>, tag_of<height>, tag_of<width>, tag_of<Out>>;
  using times = basic_tensor<host, E, tag_of<batch>, tag_of<condition>>;
  const auto x =
      tensor_of<image>(turned(generated("x", {b, from, h, w}, 1.5), b, from, h * w, false), {b, h, w, from});
  const auto emb = tensor_of<times>(generated("emb", {b, e}, 1.5), {b, e});
  const auto target =
      tensor_of<result>(turned(generated("target", {b, to, h, w}, 1), b, to, h * w, false), {b, h, w, to});
  const auto y = forward(m, run)(x, emb);
  compare_output<E>(f, name, y.values(), b, to, h * w);
  auto step = train_step(m, weighed, sgd{.lr = 0});
  step(target, x, emb);
  compare(f, name, m, step, b);
}

// ---- The transformer ----

template <class Place> struct probed_transformer {
  using net_type = spatial_transformer<Place, channel<1>, context>;
  BOOST_HANA_DEFINE_STRUCT(probed_transformer,
                           (param<Place, "x", initial::zeros, batch, height, width, channel<1>>, x),
                           (param<Place, "text", initial::zeros, batch, word, context>, text),
                           (net_type, net));
  constexpr auto operator()(const auto& image, const auto& words) const {
    return net(image + x, words + text);
  }
};
using on_linears =
    adapters<"*to_q", "*to_k", "*to_v", "*to_out.0", "*proj_in", "*proj_out", "*ff.net.0.proj", "*ff.net.2">;

template <class E> void transformer(const std::string& name) {
  const reference_file f;
  const auto about = f.about(name);
  const i64 b = about["batch"], h = about["height"], w = about["width"], c = about["channels"][0],
            n = about["word"], from = about["context"], rank = about["rank"];
  model_extents given;
  given.axes = {batch == b, height == h, width == w, channel<1> == c, word == n, context == from};
  given.stacks = {instances_of("transformer_blocks", about["depth"].get<i64>())};
  if (rank) given.adapted = {{.path = "*", .rank = rank, .alpha = 1.5 * static_cast<double>(rank)}};
  const auto m = init<probed_transformer, host, E, on_linears>(key(0), given);
  generate(m);
  using image = basic_tensor<host, E, tag_of<batch>, tag_of<height>, tag_of<width>, channels<1>>;
  using texts = basic_tensor<host, E, tag_of<batch>, tag_of<word>, tag_of<context>>;
  const auto x =
      tensor_of<image>(turned(generated("x", {b, c, h, w}, 1.5), b, c, h * w, false), {b, h, w, c});
  const auto text = tensor_of<texts>(generated("text", {b, n, from}, 1.5), {b, n, from});
  const auto target =
      tensor_of<image>(turned(generated("target", {b, c, h, w}, 1), b, c, h * w, false), {b, h, w, c});
  const auto y = forward(m, run)(x, text);
  compare_output<E>(f, name, y.values(), b, c, h * w);
  auto step = train_step(m, weighed, sgd{.lr = 0});
  step(target, x, text);
  compare(f, name, m, step, b);
}

// ---- The net ----

template <class Place> struct probed_net {
  using net_type = sdxl<Place>;
  BOOST_HANA_DEFINE_STRUCT(probed_net, (param<Place, "x", initial::zeros, batch, height, width, latent>, x),
                           (param<Place, "text", initial::zeros, batch, word, context>, text),
                           (net_type, net));
  constexpr auto operator()(const auto& image, const auto& t, const auto& words, const auto& pool,
                            const auto& sizes) const {
    return net(image + x, t, words + text, pool, sizes);
  }
};
using on_net = adapters<"*to_q", "*to_k", "*to_v", "*to_out.0", "*proj_in", "*proj_out", "*ff.net.0.proj",
                        "*ff.net.2", "conv1", "conv2", "conv_shortcut", "time_emb_proj">;

template <class E> void net(const std::string& name) {
  const reference_file f;
  const auto about = f.about(name);
  const i64 b = about["batch"], h = about["height"], w = about["width"], n = about["word"],
            from = about["context"], pool = about["pooled"], feature = about["size_feature"],
            e = about["condition"], rank = about["rank"];
  sdxl_sizes sizes_of_net{
      .latent = 4, .condition = e, .context = from, .pooled = pool, .size_feature = feature};
  for (std::size_t i = 0; i < 3; ++i) sizes_of_net.channels[i] = about["channels"][i];
  for (std::size_t i = 0; i < 2; ++i) sizes_of_net.depth[i] = about["depth"][i];
  model_extents given = extents_of(sizes_of_net);
  for (const axis_extent& a :
       {axis_extent(batch == b), axis_extent(height == h), axis_extent(width == w), axis_extent(word == n)})
    given.axes.push_back(a);  // of the probes
  if (rank)
    given.adapted = {{.path = "*", .rank = rank, .alpha = 8},
                     {.path = "*resnets.1.conv1", .rank = 2, .alpha = 8},
                     {.path = "mid_block.attentions.0.proj_in", .rank = 3, .alpha = 8}};
  const auto m = init<probed_net, host, E, on_net>(key(0), given);
  generate(m);
  using image = basic_tensor<host, E, tag_of<batch>, tag_of<height>, tag_of<width>, tag_of<latent>>;
  const auto x =
      tensor_of<image>(turned(generated("x", {b, 4, h, w}, 1.5), b, 4, h * w, false), {b, h, w, 4});
  const auto t = tensor_of<basic_tensor<host, E, tag_of<batch>>>(generated("t", {b}, 3), {b});
  const auto text = tensor_of<basic_tensor<host, E, tag_of<batch>, tag_of<word>, tag_of<context>>>(
      generated("text", {b, n, from}, 1.5), {b, n, from});
  const auto pools = tensor_of<basic_tensor<host, E, tag_of<batch>, tag_of<pooled>>>(
      generated("pooled", {b, pool}, 1.5), {b, pool});
  const auto sizes = tensor_of<basic_tensor<host, E, tag_of<batch>, tag_of<size_number>>>(
      generated("sizes", {b, 6}, 3), {b, 6});
  const auto target =
      tensor_of<image>(turned(generated("target", {b, 4, h, w}, 1), b, 4, h * w, false), {b, h, w, 4});
  const auto y = forward(m, run)(x, t, text, pools, sizes);
  compare_output<E>(f, name, y.values(), b, 4, h * w);
  auto step = train_step(m, weighed_net, sgd{.lr = 0});
  step(target, x, t, text, pools, sizes);
  compare(f, name, m, step, b);
}

}  // namespace

TEST_CASE("residual blocks") {
  residual<probed_residual, channel<1>, f32>("residual.wider");
  residual<probed_residual, channel<1>, f32>("residual.narrower");
  residual<probed_same_residual, channel<0>, f32>("residual.same");
  residual<probed_same_residual, channel<0>, f32>("residual.adapted");
  residual<probed_residual, channel<1>, f32>("residual.pixel");
}

TEST_CASE("transformers") {
  for (const char* name :
       {"transformer.plain", "transformer.deep", "transformer.long", "transformer.word", "transformer.pixel"})
    transformer<f32>(name);
}

TEST_CASE("the net, plain and adapted") {
  net<f32>("net.plain");
  net<f32>("net.adapted");
}

TEST_CASE("SDXL base 1.0 by its sizes: 1680 tensors, 2,567,463,684 parameters") {
  model_layout layout;
  layout.given = extents_of(sdxl_sizes{});
  flame::detail::layout_visitor visitor{layout};
  flame::visit<sdxl<root<symbols<f32>>>>(visitor);
  visitor.place();
  i64 parameters = 0;
  for (const weight& w : layout.weights) parameters += w.elements();
  CHECK(layout.weights.size() == 1680);
  CHECK(parameters == 2567463684);
  auto shape = [&](const char* path) {
    for (const weight& w : layout.weights)
      if (w.path == path) return flame::detail::file_shape(w);
    return std::vector<i64>{};
  };
  CHECK(shape("add_embedding.linear_1.weight") == std::vector<i64>{1280, 2816});
  CHECK(shape("down_blocks.2.attentions.1.transformer_blocks.9.attn2.to_k.weight") ==
        std::vector<i64>{1280, 2048});
  CHECK(shape("up_blocks.0.resnets.2.conv1.weight") == std::vector<i64>{1280, 1920, 3, 3});
  CHECK(shape("up_blocks.1.attentions.2.transformer_blocks.1.ff.net.0.proj.weight") ==
        std::vector<i64>{5120, 640});
}
