// A network of data/*.safetensors as make.py wrote it: parameters, a batch, the loss and its gradients in
// f64.
#pragma once
#include <flame/io/safetensors.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

struct reference {
  using json = nlohmann::json;
  std::string path;
  flame::safetensors::reader file;
  json configuration, vanishing;

  explicit reference(const std::string& name)
      : path(std::string(std::getenv("FLAME_TESTS")) + "/parity/data/" + name + ".safetensors"), file(path) {
    configuration = json::parse(file.metadata().at("configuration"));
    vanishing = json::parse(file.metadata().at("vanishing"));
  }
  [[nodiscard]] flame::i64 number(const char* key) const { return configuration.at(key).get<flame::i64>(); }
  template <class Tensor> [[nodiscard]] Tensor input(const std::string& name) const {
    const flame::safetensors::tensor_entry& e = file.at("input." + name);
    Tensor t(e.shape);
    if (e.bytes != t.values().size_bytes()) throw flame::error("the batch's " + name + " has another size");
    std::memcpy(t.data(), e.data, e.bytes);
    return t;
  }
  [[nodiscard]] double loss() const {
    double v;
    std::memcpy(&v, file.at("loss").data, sizeof v);
    return v;
  }
  [[nodiscard]] std::vector<float> gradient(const std::string& of) const {
    const flame::safetensors::tensor_entry& e = file.at("gradient." + of);
    std::vector<float> g(e.bytes / sizeof(float));
    std::memcpy(g.data(), e.data, e.bytes);
    return g;
  }
  [[nodiscard]] bool vanishes(const std::string& of) const {
    return std::find(vanishing.begin(), vanishing.end(), of) != vanishing.end();
  }
};
