// A growing array that works in constant evaluation and at run time alike, in g++, clang and nvcc.
#pragma once
#include <flame/base/config.hpp>

namespace flame {

template <class T>
struct list {
  T* items = nullptr;
  int count = 0;
  int room = 0;

  constexpr list() = default;
  constexpr list(const list& other) { append(other); }
  constexpr list(list&& other) noexcept : items(other.items), count(other.count), room(other.room) {
    other.items = nullptr;
    other.count = other.room = 0;
  }
  constexpr list& operator=(const list& other) {
    if (this != &other) {
      count = 0;
      append(other);
    }
    return *this;
  }
  constexpr list& operator=(list&& other) noexcept {
    T* t = items;
    items = other.items;
    other.items = t;
    int c = count, r = room;
    count = other.count, room = other.room;
    other.count = c, other.room = r;
    return *this;
  }
  constexpr ~list() { delete[] items; }

  constexpr list(const T* from, int n) {
    reserve(n);
    for (int i = 0; i < n; ++i) items[count++] = from[i];
  }
  template <int N>
  constexpr list(const T (&from)[N]) : list(from, N) {}

  constexpr void reserve(int n) {
    if (n <= room) return;
    T* grown = new T[static_cast<unsigned>(n)]{};
    for (int i = 0; i < count; ++i) grown[i] = static_cast<T&&>(items[i]);
    delete[] items;
    items = grown;
    room = n;
  }
  constexpr int push(const T& item) {
    if (count == room) {
      T copy = item;  // `item` may live in this list
      reserve(room ? 2 * room : 8);
      items[count] = static_cast<T&&>(copy);
    } else {
      items[count] = item;
    }
    return count++;
  }
  constexpr void append(const list& other) {
    reserve(count + other.count);
    for (int i = 0; i < other.count; ++i) items[count++] = other.items[i];
  }
  constexpr void resize(int n, const T& fill = T{}) {
    reserve(n);
    for (int i = count; i < n; ++i) items[i] = fill;
    count = n;
  }
  constexpr void clear() { count = 0; }
  constexpr void pop() { --count; }

  [[nodiscard]] constexpr bool empty() const { return count == 0; }
  [[nodiscard]] constexpr int size() const { return count; }
  constexpr T& operator[](int i) { return items[i]; }
  constexpr const T& operator[](int i) const { return items[i]; }
  constexpr T& back() { return items[count - 1]; }
  constexpr const T& back() const { return items[count - 1]; }
  constexpr T* begin() { return items; }
  constexpr T* end() { return items + count; }
  constexpr const T* begin() const { return items; }
  constexpr const T* end() const { return items + count; }

  [[nodiscard]] constexpr bool has(const T& item) const {
    for (int i = 0; i < count; ++i)
      if (items[i] == item) return true;
    return false;
  }
  [[nodiscard]] constexpr int find(const T& item) const {
    for (int i = 0; i < count; ++i)
      if (items[i] == item) return i;
    return -1;
  }
  friend constexpr bool operator==(const list& a, const list& b) {
    if (a.count != b.count) return false;
    for (int i = 0; i < a.count; ++i)
      if (!(a.items[i] == b.items[i])) return false;
    return true;
  }
};

// Stable insertion sort: lists sorted here are short (leaves, axes) or nearly sorted.
template <class T, class Less>
constexpr void sort(list<T>& items, Less less) {
  for (int i = 1; i < items.count; ++i) {
    T item = items[i];
    int j = i;
    for (; j > 0 && less(item, items[j - 1]); --j) items[j] = items[j - 1];
    items[j] = item;
  }
}

}  // namespace flame
