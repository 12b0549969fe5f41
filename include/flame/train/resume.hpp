// A training's whole state in one file: weights, the optimizer's moments, the moving average, the number of
// steps.
#pragma once
#include <flame/io/checkpoint.hpp>
#include <flame/train/step.hpp>

#include <charconv>

namespace flame {

namespace detail {

// f(name, weight, values) for every tensor of the state: the weights under their paths, the rest behind
// "moment.0.", "moment.1.", "average.".
template <class Trainer, class F> void each_tensor(Trainer& t, F&& f) {
  auto& engine = t.engine();
  for (const weight& w : t.weights().weights()) {
    if (w.is_idle()) continue;
    f(w.path, w, t.weights().values(w));
    if (!engine.trains(w)) continue;
    for (std::size_t i = 0; i < engine.moments().size(); ++i)
      f("moment." + std::to_string(i) + "." + w.path, w, engine.part(engine.moments()[i], w));
    if (!engine.average().empty()) f("average." + w.path, w, engine.part(engine.average(), w));
  }
}

}  // namespace detail

// Writes the state of a trainer, atomically. What depends on the number of steps alone (random keys,
// schedules, the order of the data) is the caller's to derive from it: a training that is resumed gives the
// bits of one that never stopped.
template <class Model, class Loss, class Optimizer, class Select>
void save_training(const std::string& path, trainer<Model, Loss, Optimizer, Select>& t) {
  detail::checkpoint_writer writer;
  detail::each_tensor(
      t, [&](const std::string& name, const weight& w, auto values) { writer.add(name, w, values); });
  writer.write(path, {{"steps", std::to_string(t.steps())}});
}

// Reads what save_training wrote, into a trainer of the same model, optimizer and selection. Throws
// flame::error where the file does not fit; the trainer is unchanged then.
template <class Model, class Loss, class Optimizer, class Select>
void load_training(const std::string& path, trainer<Model, Loss, Optimizer, Select>& t) {
  detail::checkpoint_reader reader(path);
  detail::each_tensor(t, [&](const std::string& name, const weight& w, auto) { reader.expect(name, w); });
  reader.refuse_others("");
  const auto entry = reader.metadata().find("steps");
  i64 steps = -1;
  if (entry != reader.metadata().end())
    std::from_chars(entry->second.data(), entry->second.data() + entry->second.size(), steps);
  if (steps < 0) reader.refuse("its metadata do not say after how many steps it was written");
  detail::each_tensor(
      t, [&](const std::string& name, const weight& w, auto values) { reader.read(name, w, values); });
  t.set_steps(steps);
}

}  // namespace flame
