// A fused group's words as a kernel reads them: slots, then instructions (plan/group.hpp says what they
// mean).
#pragma once
#include <flame/run/cuda/kernel/scalar.hpp>

namespace flame::kernel {

// How a slot is reached along the packs of a row: added to its word by whoever launches.
enum class access : u8 {
  none,     // nobody reads or writes it; of a uniform slot: the number stands in the arguments
  vector,   // neighbours lie side by side, and packs are aligned
  one,      // the same for the whole row
  strided,  // a stride of its own
  general,  // the row has several axes that do not collapse for this slot
  // Of maps, whose slots are reached along the space's last axis:
  pack,      // neighbours lie side by side, and packs are aligned
  repeated,  // the same all along
  turned,    // neighbours along the axis before the last lie side by side, and packs are aligned
};

enum class width : u8 { uniform, row, full };            // flame::level
enum class reduce : u8 { none, row, column, total };     // flame::reduce_mode
enum class slot : u8 { input, output, uniform, index };  // flame::slot_kind

inline constexpr int code_load = 200, code_store = 201;

// The words of one kernel: how many slots, the slots, the instructions.
template <u64... W> struct code {
  static constexpr u64 words[sizeof...(W)] = {W...};
  static constexpr int slots = static_cast<int>(words[0]);
  static constexpr int size = static_cast<int>(sizeof...(W)) - 1 - slots;

  // Slots: kind 8, element 8, access 8 bits, then 1 where all rows are the same (of a map: along all axes but
  // the last; of its squares: along the axis before the last).
  static consteval slot kind(int s) { return static_cast<slot>(words[1 + s] & 0xff); }
  static consteval int slot_element(int s) { return static_cast<int>(words[1 + s] >> 8 & 0xff); }
  static consteval access reached(int s) { return static_cast<access>(words[1 + s] >> 16 & 0xff); }

  static consteval bool repeats(int s) { return (words[1 + s] >> 24 & 1) != 0; }

  // Its word is a number of up to 32 bits; how many such stand before it.
  static consteval bool is_short(int s) {
    const int e = slot_element(s);
    return kind(s) == slot::uniform && reached(s) == access::none && e != f64_ && e != i64_ && e != key_;
  }
  static consteval int short_before(int s) {
    int n = 0;
    for (int k = 0; k < s; ++k) n += is_short(k);
    return n;
  }

  static consteval u64 word(int i) { return words[1 + slots + i]; }
  static consteval int opcode(int i) { return static_cast<int>(word(i) & 0xff); }
  static consteval op operation(int i) { return static_cast<op>(word(i) & 0xff); }
  static consteval int element(int i) { return static_cast<int>(word(i) >> 8 & 0xf); }
  static consteval width at(int i) { return static_cast<width>(word(i) >> 12 & 0x3); }
  static consteval reduce mode(int i) { return static_cast<reduce>(word(i) >> 14 & 0x3); }
  static consteval int a(int i) { return static_cast<int>(word(i) >> 16 & 0xfff) - 1; }
  static consteval int b(int i) { return static_cast<int>(word(i) >> 28 & 0xfff) - 1; }
  static consteval int c(int i) { return static_cast<int>(word(i) >> 40 & 0xfff) - 1; }

  static consteval bool loads(int i) { return opcode(i) == code_load; }
  static consteval bool stores(int i) { return opcode(i) == code_store; }
  // Summed over rows, so that a value is known only when the kernel ends.
  static consteval bool accumulates(int i) {
    return !stores(i) && (mode(i) == reduce::column || mode(i) == reduce::total);
  }
  static consteval bool reduces_row(int i) { return !stores(i) && mode(i) == reduce::row; }
  // The element type of an instruction's value.
  static consteval int value(int i) {
    if (loads(i)) return element(i);
    switch (operation(i)) {
      case op::is_finite:
      case op::is_nan:
      case op::less:
      case op::less_equal:
      case op::equal:
      case op::not_equal: return boolean_;
      case op::argmax: return i32_;
      default: return element(i);
    }
  }
  // How many rounds over a row must end before the value is known.
  static consteval int round(int i) { return rounds_[i]; }
  static consteval int rounds() {
    int most = 0;
    for (int i = 0; i < size; ++i)
      if (rounds_[i] > most) most = rounds_[i];
    return most;
  }
  // Every number that is read or written element by element has 16 bits.
  static consteval bool only_halves() {
    for (int i = 0; i < size; ++i)
      if ((loads(i) || stores(i)) && at(i) == width::full &&
          (kind(a(i)) == slot::input || kind(a(i)) == slot::output)) {
        const int d = slot_element(a(i));
        if (d != bf16_ && d != f16_) return false;
      }
    return true;
  }
  static consteval bool any(bool (*is)(int)) {
    for (int i = 0; i < size; ++i)
      if (is(i)) return true;
    return false;
  }
  // Its number among the instructions for which `is` holds.
  static consteval int place(int i, bool (*is)(int)) {
    int n = 0;
    for (int k = 0; k < i; ++k) n += is(k);
    return n;
  }
  static consteval int count(bool (*is)(int)) { return place(size, is); }

 private:
  struct list {
    int item[sizeof...(W)];
    constexpr int operator[](int i) const { return item[i]; }
  };
  static consteval list find_rounds() {
    list l{};
    for (int i = 0; i < size; ++i) {
      if (loads(i)) continue;
      const int in[3] = {stores(i) ? -1 : a(i), b(i), stores(i) ? -1 : c(i)};
      for (int k : in)
        if (k >= 0) {
          const int s = l.item[k] + (reduces_row(k) ? 1 : 0);
          if (s > l.item[i]) l.item[i] = s;
        }
    }
    return l;
  }
  static constexpr list rounds_ = find_rounds();
};

// 0, 1, ... N - 1, without <utility>.
template <int... I> struct indices {};
template <class A, class B> struct joined_indices;
template <int... I, int... J> struct joined_indices<indices<I...>, indices<J...>> {
  using type = indices<I..., static_cast<int>(sizeof...(I)) + J...>;
};
template <int N> struct make_indices {
  using type = typename joined_indices<typename make_indices<N / 2>::type,
                                       typename make_indices<N - N / 2>::type>::type;
};
template <> struct make_indices<0> { using type = indices<>; };
template <> struct make_indices<1> { using type = indices<0>; };

}  // namespace flame::kernel
