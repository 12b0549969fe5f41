// Growing arrays and views of arrays that work in constant evaluation and at run time alike, in g++, clang and nvcc.
//
// Constant evaluation pays for every call: loops here and in graph/ go over plain pointers.
#pragma once
#include <flame/base/config.hpp>

namespace flame {

template <class T>
struct list;

// Somebody else's array. It may lie in the list that it is appended to.
template <class T>
struct array_view {
  const T* items = nullptr;
  int count = 0;

  constexpr array_view() = default;
  constexpr array_view(const T* first_item, int item_count) : items(first_item), count(item_count) {}
  constexpr array_view(const list<T>& that_list) : items(that_list.items), count(that_list.count) {}
  template <int N>
  constexpr array_view(const T (&those_items)[N]) : items(those_items), count(N) {}

  [[nodiscard]] constexpr bool empty() const { return count == 0; }
  [[nodiscard]] constexpr int size() const { return count; }
  constexpr const T& operator[](int i) const { return items[i]; }
  constexpr const T* begin() const { return items; }
  constexpr const T* end() const { return items + count; }

  [[nodiscard]] constexpr int find(const T& item) const {
    for (int i = 0; i < count; ++i)
      if (items[i] == item) return i;
    return -1;
  }
  [[nodiscard]] constexpr bool has(const T& item) const { return find(item) >= 0; }
};

template <class T>
struct list {
  T* items = nullptr;
  int count = 0;
  int room = 0;

  constexpr list() = default;
  // No plain words here: g++ 12 warns that parameters of a template's constructors shadow the user's globals.
  constexpr list(const list& that_list) { append(that_list); }
  constexpr list(list&& that_list) noexcept
      : items(that_list.items), count(that_list.count), room(that_list.room) {
    that_list.items = nullptr;
    that_list.count = that_list.room = 0;
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

  constexpr explicit list(array_view<T> that_view) { append(that_view); }
  constexpr list(const T* first_item, int item_count) { append(array_view<T>(first_item, item_count)); }
  template <int N>
  constexpr list(const T (&those_items)[N]) {
    append(array_view<T>(those_items, N));
  }

  constexpr void reserve(int n) {
    if (n <= room) return;
    T* grown = new T[static_cast<unsigned>(n)];
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
  constexpr void append(array_view<T> other) {
    if (other.count == 0) return;
    if (count + other.count > room) {
      T* old = items;  // `other` may live there
      room = count + other.count > 2 * room ? count + other.count : 2 * room;
      items = new T[static_cast<unsigned>(room)];
      for (int i = 0; i < other.count; ++i) items[count + i] = other.items[i];
      for (int i = 0; i < count; ++i) items[i] = static_cast<T&&>(old[i]);
      delete[] old;
    } else {
      for (int i = 0; i < other.count; ++i) items[count + i] = other.items[i];
    }
    count += other.count;
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

  [[nodiscard]] constexpr bool has(const T& item) const { return array_view<T>(*this).has(item); }
  [[nodiscard]] constexpr int find(const T& item) const { return array_view<T>(*this).find(item); }
  friend constexpr bool operator==(const list& a, const list& b) {
    if (a.count != b.count) return false;
    for (int i = 0; i < a.count; ++i)
      if (!(a.items[i] == b.items[i])) return false;
    return true;
  }
};

// For sort: what is pointed to has an id.
struct by_id {
  template <class T>
  constexpr bool operator()(const T* a, const T* b) const {
    return a->id < b->id;
  }
};

// Stable merge sort of the runs that are there; no recursion, for nvcc's sake.
template <class T, class Less>
constexpr void sort(list<T>& items, Less less) {
  list<int> begins;  // of the runs
  for (int i = 0; i < items.count; ++i)
    if (i == 0 || less(items.items[i], items.items[i - 1])) begins.push(i);
  list<T> other;
  if (begins.count > 1) other.resize(items.count);
  while (begins.count > 1) {
    int runs = 0;
    for (int r = 0; r < begins.count; r += 2) {
      const int begin = begins.items[r], middle = r + 1 < begins.count ? begins.items[r + 1] : items.count,
                end = r + 2 < begins.count ? begins.items[r + 2] : items.count;
      for (int i = begin, j = middle, k = begin; k < end; ++k) {
        bool right = i == middle || (j < end && less(items.items[j], items.items[i]));
        other.items[k] = items.items[right ? j++ : i++];
      }
      begins.items[runs++] = begin;
    }
    begins.count = runs;
    T* swapped = items.items;
    items.items = other.items;
    other.items = swapped;
    const int room = items.room;
    items.room = other.room, other.room = room;
  }
}

// Finds things by hash: open addressing. The things lie in the order of their numbers elsewhere.
struct hash_table {
  // The first thing of this hash for which `same` holds; -1 if there is none.
  template <class Same>
  [[nodiscard]] constexpr int find(u64 hash, Same same) const {
    if (used == 0) return -1;
    for (u64 at = hash & mask;; at = (at + 1) & mask) {
      const int found = slots.items[at / 64].at[at % 64] - 1;
      if (found < 0) return -1;
      if (hashes.items[found] == hash && same(found)) return found;
    }
  }
  // The next thing: its number is the count of those before.
  constexpr int add(u64 hash) {
    if (2 * static_cast<u64>(used) >= mask) grow(static_cast<u64>(used) * 4);
    place(hash, used);
    hashes.push(hash);
    return used++;
  }
  // Room for so many things.
  constexpr void reserve(int n) {
    hashes.reserve(n);
    if (2 * static_cast<u64>(n) > mask) grow(static_cast<u64>(n) * 2);
  }

 private:
  struct chunk {  // zeroed as an aggregate: constant evaluation pays for every element of `new int[n]{}`
    int at[64] = {};  // the thing's number and 1; 0: empty
  };
  list<u64> hashes;
  list<chunk> slots;
  u64 mask = 0;
  int used = 0;

  constexpr void place(u64 hash, int number) {
    u64 at = hash & mask;
    while (slots.items[at / 64].at[at % 64] != 0) at = (at + 1) & mask;
    slots.items[at / 64].at[at % 64] = number + 1;
  }
  constexpr void grow(u64 least) {
    u64 n = 64;
    while (n < least) n *= 2;
    list<chunk> empty;
    empty.reserve(static_cast<int>(n / 64));
    empty.count = empty.room;  // what a copy copies
    slots = static_cast<list<chunk>&&>(empty);
    mask = n - 1;
    for (int i = 0; i < used; ++i) place(hashes.items[i], i);
  }
};

}  // namespace flame
