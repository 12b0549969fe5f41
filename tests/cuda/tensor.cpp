// Tensors on a GPU: made, moved, filled, viewed, printed; memory that others own; what is refused.
//
// labels: cuda
// needs: flame::cuda
#include "gpu.hpp"

#include <flame/io/tensor.hpp>
#include <flame/run/print.hpp>

#include <algorithm>
#include <filesystem>

namespace {

using namespace flame;
using namespace flame::cuda_tests;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct layer : dim<> {
} layer;

using on_device = device_tensor<f32, row, col>;

TEST_CASE("a tensor is made from literals, from values, and moves both ways") {
  const on_device a{{1, 2, 3}, {4, 5, 6.5}};
  CHECK(a.shape() == std::vector<i64>{2, 3});
  CHECK(a.to_vector() == std::vector<f32>{1, 2, 3, 4, 5, 6.5});
  const tensor<f32, row, col> b = to<host>(a);
  CHECK(b(1, 2) == 6.5f);
  const on_device c = to<cuda>(b);
  CHECK(c.data() != a.data());
  CHECK(all_equal(a, c));
  CHECK(to<cuda>(a).data() == a.data());
  const std::vector<f32> values{1, 2, 3, 4};
  CHECK(on_device({2, 2}, values).to_vector() == values);
  CHECK(device_tensor<f64>(2.5).item() == 2.5);
  CHECK(device_tensor<bool, row>{true, false, true}.to_vector() == std::vector<bool>{true, false, true});
  CHECK(on_device().data() == nullptr);
  CHECK(to<host>(on_device()).data() == nullptr);
  CHECK(on_device({0, 3}).to_vector().empty());
}

template <class Element> void moves(double first, double step) {
  const auto a = arange<Element>(row == 1000, first, step);
  CHECK(same_values(to<host>(to<cuda>(a)), a));
  CHECK(same_values(to<cuda>(a.slice(row, 3, 900, 7)), a.slice(row, 3, 900, 7)));
  CHECK(same_values(to<cuda>(a).slice(row, 3, 900, 7), a.slice(row, 3, 900, 7)));
}
TEST_CASE("every element type") {
  moves<f32>(-1, 0.25), moves<f64>(-1, 0.25), moves<i32>(-9, 1), moves<i64>(-9, 1), moves<u8>(0, 0.2);
  const auto x = normal(key(1), row == 5, col == 7);
  CHECK(to<host>(to<cuda>(x.cast<bf16>())).cast<f32>().to_vector() == x.cast<bf16>().cast<f32>().to_vector());
  CHECK(to<host>(to<cuda>(x.cast<f16>())).cast<f32>().to_vector() == x.cast<f16>().cast<f32>().to_vector());
}

TEST_CASE("tensors made by rule are those of the host") {
  CHECK(same_values(uniform<f32, cuda>(key(3), row == 13, col == 9), uniform(key(3), row == 13, col == 9)));
  CHECK(same_values(normal<f64, cuda>(key(3), row == 13), normal<f64>(key(3), row == 13)));
  CHECK(same_values(linspace<f32, cuda>(0, 1, row == 11), linspace<f32>(0, 1, row == 11)));
  CHECK(same_values(ones<f32, cuda>(row == 3, col == 5), ones<f32>(row == 3, col == 5)));
  CHECK(same_values(full_like(zeros<f32, cuda>(row == 3), 4), full<f32>(4, row == 3)));
}

TEST_CASE("views read no data, share the memory, and are copied as they lie") {
  const auto a = normal(key(5), layer == 3, row == 8, col == 6);
  const auto b = to<cuda>(a);
  CHECK(same_values(b.select(row, 2), a.select(row, 2)));
  CHECK(same_values(b[1], a[1]));
  CHECK(same_values(b.slice(row, 1, 7, 2).slice(col, 2, 5), a.slice(row, 1, 7, 2).slice(col, 2, 5)));
  CHECK(same_values(b.permute(col, layer, row), a.permute(col, layer, row)));
  CHECK(same_values(b.permute(col, layer, row).clone(), a.permute(col, layer, row)));
  CHECK(same_values(b.permute(layer, col, row).reshape(row == 18, col == -1),
                    a.permute(layer, col, row).reshape(row == 18, col == -1)));
  CHECK(b.rename(row, col).rename(col, row).data() == b.data());
  CHECK(b.select(layer, 1).select(row, -1).select(col, 3).item() == a(1, -1, 3));

  b.select(layer, 1).fill(2);
  a.select(layer, 1).fill(2);
  b.slice(col, 0, 6, 2).fill(-1);
  a.slice(col, 0, 6, 2).fill(-1);
  b.select(row, 0).fill(0);
  a.select(row, 0).fill(0);
  CHECK(same_values(b, a));
  const std::vector<f32> values{1, 2, 3, 4, 5, 6, 7, 8};
  b.select(layer, 0).select(col, 1).copy_from(values);
  a.select(layer, 0).select(col, 1).copy_from(values);
  CHECK(same_values(b, a));
  b.select(layer, 2).copy_from(b.select(layer, 0));
  a.select(layer, 2).copy_from(a.select(layer, 0));
  CHECK(same_values(b, a));
  CHECK(same_values(b.clone().fill(7), a.clone().fill(7)));
}

TEST_CASE("what is sent is what the values were, and the host's memory is free at once") {
  std::vector<f32> values(7000001);  // more than lies in pinned memory at a time
  const device_tensor<f32, row> a(std::vector<i64>{7000001}), b(std::vector<i64>{7000001});
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<f32>(i % 9973);
  const std::vector<f32> kept = values;
  a.copy_from(values);
  for (f32& v : values) v = -v;
  b.copy_from(values);
  const std::vector<f32> sent = values;
  std::fill(values.begin(), values.end(), 0.0f);
  CHECK(a.to_vector() == kept);
  CHECK(b.to_vector() == sent);
}

TEST_CASE("memory that others own") {
  const auto owner = zeros<f32, cuda>(row == 4, col == 4);
  const auto view = borrow<f32, cuda>(owner.data() + 4, row == 2, col == 4);
  view.fill(3);
  CHECK(owner.select(row, 0).to_vector() == std::vector<f32>(4, 0));
  CHECK(owner.select(row, 1).to_vector() == std::vector<f32>(4, 3));
  CHECK(owner.select(row, 3).to_vector() == std::vector<f32>(4, 0));
  bool released = false;
  {
    const std::shared_ptr<void> keep(owner.data(), [&](void*) { released = true; });
    const i64 extents[] = {16};
    const device_tensor<f32, row> kept(storage<cuda>::around(owner.data(), 64, keep), owner.data(), extents);
    CHECK(kept.size() == 16);
  }
  CHECK(released);
}

TEST_CASE("text and files are those of the host") {
  const auto a = normal(key(2), row == 4, col == 3);
  CHECK(to_string(to<cuda>(a)) == to_string(a));
  const std::string path = (std::filesystem::temp_directory_path() / "a.npy").string();
  write_npy(path, to<cuda>(a).transpose());
  CHECK(same_values(read_npy<device_tensor<f32, row, col>>(path).transpose(), a));
}

TEST_CASE("memory is counted and given back") {
  const i64 before = cuda_code::memory_use().used;
  {
    const auto a = zeros<f32, cuda>(row == 1024, col == 1024);
    CHECK(cuda_code::memory_use().used == before + 4 * 1024 * 1024);
    const auto b = a;
    CHECK(cuda_code::memory_use().used == before + 4 * 1024 * 1024);
  }
  CHECK(cuda_code::memory_use().used == before);
}

TEST_CASE("what is refused at run time") {
  const on_device a({2, 3});
  CHECK(refusal([&] { static_cast<void>(a.item()); }) ==
        "flame::tensor::item(): the tensor has 6 elements, expected 1");
  CHECK(refusal([&] {
          static_cast<void>(a.copy_from(on_device({3, 2})));
        }) == "flame::tensor::copy_from(x): x has the extents (3, 2), expected (2, 3)");
  CHECK(refusal([] { cuda::set_device(100000); }).starts_with("flame::cuda: there is no device 100000"));
  CHECK(refusal([] {
          static_cast<void>(on_device({i64{1} << 30, i64{1} << 20}));
        }).starts_with("flame::tensor: the GPU has too little memory: 4503599627370496 bytes are needed"));
  CHECK(device_tensor<f32>(1.5).item() == 1.5f);  // an error leaves nothing behind
  if (cuda::device_count() > 1) {
    a.fill(1);
    cuda::set_device(1);
    CHECK(refusal([&] { static_cast<void>(a.to_vector()); }) ==
          "flame: a tensor lies on device 0 of cuda, this thread uses device 1; say cuda::set_device(0)");
    CHECK(on_device{{1, 2}}.to_vector() == std::vector<f32>{1, 2});
    cuda::set_device(0);
    CHECK(a.to_vector() == std::vector<f32>(6, 1));
  }
}

}  // namespace
