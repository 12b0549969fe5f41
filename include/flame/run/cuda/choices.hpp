// Which of several ways to do a library step is the quickest here: timed once, then kept in a file.
#pragma once
#include <flame/run/cuda/context.hpp>
#include <flame/run/cuda/disk_cache.hpp>
#include <flame/run/cuda/step_graph.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace flame::cuda_code {

// Choices by the text of what is done. A file has a line for each: the way, how many there were, the text,
// and the microseconds of all ways when they were timed, with tabs between.
//
// Choices are kept in the folder of compiled kernels, in a file for each kind of GPU and version of the
// libraries; what it lacks is timed when a program is made ready. With FLAME_CHOICES=file they are read from
// that file and nothing is timed: what the file lacks is done the first way, so that two runs, or two
// machines of one kind, give the same bits. With FLAME_TIMING=0 nothing is timed and no file is read: always
// the first way, the libraries' own advice, of attention FLAME's tiles.
class choices {
 public:
  // Whether a way must give the same bits at every run. FLAME_DETERMINISTIC=0 allows others where they are
  // quicker: gradients of attention by cuDNN's atomics.
  [[nodiscard]] static bool deterministic() {
    const char* asked = std::getenv("FLAME_DETERMINISTIC");
    return !asked || std::string(asked) != "0";
  }

  // versions: of the GPU and the libraries, part of the file's name.
  explicit choices(const std::string& versions) {
    const char* timing = std::getenv("FLAME_TIMING");
    if (timing && std::string(timing) == "0") return;
    if (const char* pinned = std::getenv("FLAME_CHOICES"); pinned && *pinned) {
      if (!std::ifstream(pinned))
        throw error(std::string("flame::cuda: FLAME_CHOICES: cannot read ").append(pinned));
      read(pinned);
      return;
    }
    times_ = true;
    const std::filesystem::path folder = cuda_kernels::disk_cache::default_folder();
    if (folder.empty()) return;
    std::string name = "choices-" + versions + ".txt";
    for (char& c : name)
      if (c == ' ' || c == '/') c = '-';
    file_ = folder / name;
    read(file_);
  }

  // Whether choose would time.
  [[nodiscard]] bool undecided(const std::string& text, int ways) {
    const std::lock_guard hold(lock_);
    const auto at = ways_.find(text);
    return times_ && ways > 1 && (at == ways_.end() || at->second.of != ways);
  }
  // The way that is kept for it, else the first.
  [[nodiscard]] int kept(const std::string& text, int ways) {
    const std::lock_guard hold(lock_);
    const auto at = ways_.find(text);
    return at != ways_.end() && at->second.of == ways ? at->second.way : 0;
  }
  // The quickest way, which is kept. microseconds(way) times one; negative: it cannot be timed. Thread-safe.
  template <class Microseconds>
  [[nodiscard]] int choose(const std::string& text, int ways, Microseconds&& microseconds) {
    const std::lock_guard alone(timing_);  // one after the other: who times is alone on the GPU
    if (!undecided(text, ways)) return kept(text, ways);
    std::vector<double> times;
    int best = 0;
    for (int way = 0; way < ways; ++way) {
      times.push_back(microseconds(way));
      const double least = times[static_cast<std::size_t>(best)];
      // The first way stays where another is no more than what clocks and neighbours make of it.
      if (times.back() >= 0 && (least < 0 || times.back() < 0.98 * least)) best = way;
    }
    if (times[static_cast<std::size_t>(best)] < 0) return 0;
    {
      const std::lock_guard found(lock_);
      ways_[text] = {best, ways};
    }
    keep(text, {best, ways}, times);
    return best;
  }

  [[nodiscard]] const std::filesystem::path& file() const { return file_; }

 private:
  struct choice {
    int way = 0, of = 0;
  };

  // Of two lines for one text the later counts; what is no such line is passed over.
  void read(const std::filesystem::path& from) {
    std::ifstream file(from);
    for (std::string line; std::getline(file, line);) {
      const std::size_t first = line.find('\t'), second = line.find('\t', first + 1),
                        third = line.find('\t', second + 1);
      if (first == std::string::npos || second == std::string::npos || third == std::string::npos) continue;
      const choice found = {std::atoi(line.c_str()), std::atoi(line.c_str() + first)};
      if (found.way >= 0 && found.way < found.of) ways_[line.substr(second + 1, third - second - 1)] = found;
    }
  }
  // One write a line: processes that share the file do not mix theirs. A file that cannot be written means
  // that the next process times again.
  void keep(const std::string& text, const choice& chosen, const std::vector<double>& times) {
    if (file_.empty()) return;
    std::string line = std::to_string(chosen.way) + "\t" + std::to_string(chosen.of) + "\t" + text + "\t";
    char number[32];
    for (double t : times) std::snprintf(number, sizeof number, "%.2f ", t), line += number;
    line.back() = '\n';
    std::error_code failed;
    std::filesystem::create_directories(file_.parent_path(), failed);
    const int to = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (to < 0) return;
    static_cast<void>(::write(to, line.data(), line.size()) == 0);
    ::close(to);
  }

  std::mutex lock_, timing_;
  bool times_ = false;
  std::filesystem::path file_;
  std::map<std::string, choice> ways_;
};

// Memory to try library steps on, as long as a program is made ready.
class trial {
 public:
  explicit trial(context& c) : c_(c) {}
  trial(const trial&) = delete;
  trial& operator=(const trial&) = delete;
  ~trial() { release(); }

  // Parts of these sizes, filled with small numbers; empty where the GPU has too little memory for it.
  [[nodiscard]] std::vector<void*> parts(const std::vector<i64>& bytes) {
    i64 all = 0;
    for (i64 b : bytes) all += cuda_kernels::padded(b);
    if (all > bytes_) {
      release();
      std::size_t free = 0, total = 0;
      check(cudaMemGetInfo(&free, &total), "flame::compile<cuda>", "cudaMemGetInfo");
      if (static_cast<i64>(free / 2) < all) return {};
      memory_ = static_cast<std::byte*>(c_.take(all, c_.stream(), "flame::compile<cuda>"));
      bytes_ = all;
      check(cudaMemsetAsync(memory_, 0x2c, static_cast<std::size_t>(all), c_.stream()),
            "flame::compile<cuda>", "cudaMemsetAsync");
      check(cudaStreamSynchronize(c_.stream()), "flame::compile<cuda>", "cudaStreamSynchronize");
    }
    std::vector<void*> to;
    std::byte* at = memory_;
    for (i64 b : bytes) to.push_back(at), at += cuda_kernels::padded(b);
    return to;
  }

  // Microseconds of what start(stream) puts on a stream, in a graph that repeats it: the least of some
  // rounds.
  template <class Start> [[nodiscard]] double microseconds(Start&& start) const {
    start(c_.stream());  // loads what is loaded lazily
    return 1e3 * graph_milliseconds(c_.stream(), 8, 5, start);
  }

 private:
  void release() {
    if (memory_) c_.give_back(memory_, bytes_, c_.stream());
    memory_ = nullptr, bytes_ = 0;
  }
  context& c_;
  std::byte* memory_ = nullptr;
  i64 bytes_ = 0;
};

}  // namespace flame::cuda_code
