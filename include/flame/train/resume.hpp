// A training's whole state in one file: weights, the optimizer's moments, the moving average, the number of
// steps.
#pragma once
#include <flame/io/checkpoint.hpp>
#include <flame/train/step.hpp>

#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace flame {

namespace detail {

// f(prefix, tensor, trained) for every part of the state: the weights, whose names in a file are their paths;
// the optimizer's moments and the moving average of what is trained, behind "moment.0.", "moment.1.",
// "average.".
template <class Trainer, class F> void each_part(Trainer& t, F&& f) {
  auto& engine = t.engine();
  f(std::string(), t.weights().flat(), false);
  for (std::size_t i = 0; i < engine.moments().size(); ++i)
    f("moment." + std::to_string(i) + ".", engine.moments()[i], true);
  if (engine.average().size() > 0) f(std::string("average."), engine.average(), true);
}

// f(weight, offset) for every weight that a part holds.
template <class Trainer, class F> void each_weight(Trainer& t, bool trained, F&& f) {
  for (const weight& w : t.weights().weights())
    if (!w.is_idle() && (!trained || t.engine().trains(w))) f(w, trained ? t.engine().place(w) : w.offset);
}

}  // namespace detail

// Writes the state of a trainer, atomically. What depends on the number of steps alone (random keys,
// schedules, the order of the data) is the caller's to derive from it: a training that is resumed gives the
// bits of one that never stopped.
template <class Model, class Loss, class Optimizer, class Select>
void save_training(const std::string& path, trainer<Model, Loss, Optimizer, Select>& t) {
  using on_host = decltype(to<host>(t.weights().flat()));
  std::vector<on_host> kept;
  detail::checkpoint_writer writer;
  detail::each_part(t, [&](const std::string& prefix, const auto& part, bool trained) {
    const auto values = kept.emplace_back(to<host>(part)).values();
    detail::each_weight(t, trained, [&](const weight& w, i64 at) {
      writer.add(prefix + w.path, w, detail::values_at(values, w, at));
    });
  });
  std::map<std::string, std::string> metadata{{"steps", std::to_string(t.steps())}};
  if (t.engine().scales()) {
    const auto s = t.engine().scaling();
    char text[96];
    std::snprintf(text, sizeof text, "%.9g %.9g %.9g", s.scale, s.good, s.skipped);
    metadata["loss_scale"] = text;
  }
  writer.write(path, metadata);
}

// Reads what save_training wrote, into a trainer of the same model, optimizer and selection. Throws
// flame::error where the file does not fit; the trainer is unchanged then.
template <class Model, class Loss, class Optimizer, class Select>
void load_training(const std::string& path, trainer<Model, Loss, Optimizer, Select>& t) {
  detail::checkpoint_reader reader(path);
  detail::each_part(t, [&](const std::string& prefix, const auto&, bool trained) {
    detail::each_weight(t, trained, [&](const weight& w, i64) { reader.expect(prefix + w.path, w); });
  });
  reader.refuse_others("");
  const auto entry = reader.metadata().find("steps");
  i64 steps = -1;
  if (entry != reader.metadata().end())
    std::from_chars(entry->second.data(), entry->second.data() + entry->second.size(), steps);
  if (steps < 0) reader.refuse("its metadata do not say after how many steps it was written");
  detail::each_part(t, [&](const std::string& prefix, const auto& part, bool trained) {
    edit_on_host(part, [&](auto values) {
      detail::each_weight(t, trained, [&](const weight& w, i64 at) {
        reader.read(prefix + w.path, w, detail::values_at(values, w, at));
      });
    });
  });
  t.set_steps(steps);
  if (const auto scale = reader.metadata().find("loss_scale"); scale != reader.metadata().end()) {
    double state[3] = {};
    const char* at = scale->second.data();
    for (double& x : state) {
      char* end = nullptr;
      x = std::strtod(at, &end);
      at = end;
    }
    t.engine().set_scaling({state[0], state[1], state[2], state[0]});
  }
  t.refresh();
}

}  // namespace flame
