// safetensors, reading: a file mapped into memory, every length checked before it is trusted.
#pragma once
#include <flame/io/safetensors_header.hpp>

#include <cstring>

namespace flame::safetensors {

// An open safetensors file. Construction makes the checks of the reference in its order (header too small,
// too large, invalid length, UTF-8, JSON; then tensor by tensor holes and overlaps, overflow, sizes; no
// trailing bytes) and those that its README promises beside (first byte '{', no key twice). Throws
// flame::error with the path and the tensor. Names and metadata are data: nothing is done with them but
// compare.
class reader {
 public:
  explicit reader(const std::string& path) : file_(path) { parse(file_.bytes(), path); }

  // Over bytes that must live as long as the reader; `name` stands for the path in errors.
  [[nodiscard]] static reader from_bytes(std::span<const std::byte> bytes,
                                         const std::string& name = "bytes") {
    reader result;
    result.parse(bytes, name);
    return result;
  }

  // In the order of the file. Their data lie in the map, unaligned, and are valid while the reader lives.
  [[nodiscard]] std::span<const tensor_entry> entries() const { return entries_; }
  [[nodiscard]] const metadata_map& metadata() const { return metadata_; }
  [[nodiscard]] const std::string& name() const { return name_; }

  // The entry of that name, or null.
  [[nodiscard]] const tensor_entry* find(std::string_view name) const {
    const auto at =
        std::lower_bound(by_name_.begin(), by_name_.end(), name,
                         [&](std::size_t i, std::string_view wanted) { return entries_[i].name < wanted; });
    return at != by_name_.end() && entries_[*at].name == name ? &entries_[*at] : nullptr;
  }

  // The entry of that name; throws flame::error where there is none.
  [[nodiscard]] const tensor_entry& at(std::string_view name) const {
    if (const tensor_entry* entry = find(name)) return *entry;
    throw error("safetensors: " + name_ + ": there is no tensor " + quote_text(name));
  }

  // Copies an entry's bytes. Throws flame::error where the sizes differ, the file changed since it was
  // opened, or a BOOL is neither 0 nor 1 (which C++ could not hold).
  void copy(const tensor_entry& entry, std::span<std::byte> destination) const {
    const auto refuse = [&](const std::string& what) {
      throw error("safetensors: " + name_ + ": tensor " + quote_text(entry.name) + what);
    };
    if (destination.size() != entry.bytes)
      refuse(" has " + std::to_string(entry.bytes) + " bytes, the destination " +
             std::to_string(destination.size()));
    refuse_change();
    if (entry.bytes != 0) std::memcpy(destination.data(), entry.data, destination.size());
    refuse_change();
    if (entry.dtype == dtype::boolean)
      for (std::byte value : destination)
        if (value > std::byte{1}) refuse(" holds a BOOL that is neither 0 nor 1");
  }

  // Throws flame::error when the mapped file is no longer what it was when opened.
  void refuse_change() const { file_.refuse_change(); }

 private:
  reader() = default;

  void parse(std::span<const std::byte> bytes, const std::string& name) {
    name_ = name;
    const auto refuse = [&](const std::string& what) { throw error("safetensors: " + name_ + ": " + what); };
    if (bytes.size() < 8)
      refuse("header too small: " + std::to_string(bytes.size()) + " bytes, expected at least 8");
    u64 length = 0;
    std::memcpy(&length, bytes.data(), 8);
    if (length > header_limit)
      refuse("header too large: " + std::to_string(length) + " bytes, at most " +
             std::to_string(header_limit));
    if (length > bytes.size() - 8)
      refuse("invalid header length: " + std::to_string(length) + " bytes, the file has " +
             std::to_string(bytes.size() - 8) + " after it");
    const std::span<const std::byte> buffer = bytes.subspan(8 + static_cast<std::size_t>(length));
    header parsed = parse_header(
        {reinterpret_cast<const char*>(bytes.data()) + 8, static_cast<std::size_t>(length)}, name_);
    metadata_ = std::move(parsed.metadata);

    std::sort(parsed.tensors.begin(), parsed.tensors.end(), [](const header_entry& a, const header_entry& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end != b.end ? a.end < b.end : a.name < b.name;
    });
    u64 previous = 0;
    entries_.reserve(parsed.tensors.size());
    for (header_entry& tensor : parsed.tensors) {
      const std::string who = "safetensors: " + name_ + ": tensor " + quote_text(tensor.name);
      if (tensor.begin != previous || tensor.end < tensor.begin)
        throw error(who + ": invalid offset: [" + std::to_string(tensor.begin) + ", " +
                    std::to_string(tensor.end) + "] where the previous tensor ends at " +
                    std::to_string(previous));
      const u64 size = bytes_of(tensor.dtype, tensor.shape, who), given = tensor.end - tensor.begin;
      if (given != size)
        throw error(who + ": its shape needs " + std::to_string(size) + " bytes, its offsets span " +
                    std::to_string(given));
      previous = tensor.end;
      // The pointer is made only after the whole is known to lie in the buffer, below.
      entries_.push_back({std::move(tensor.name), tensor.dtype, std::move(tensor.shape), nullptr, size});
    }
    if (previous != buffer.size())
      refuse("the tensors take " + std::to_string(previous) + " bytes, the file has " +
             std::to_string(buffer.size()) + " after the header");
    const std::byte* data = buffer.data();
    for (tensor_entry& entry : entries_) {
      entry.data = data;
      data += entry.bytes;
    }
    by_name_.resize(entries_.size());
    for (std::size_t i = 0; i < by_name_.size(); ++i) by_name_[i] = i;
    std::sort(by_name_.begin(), by_name_.end(),
              [&](std::size_t a, std::size_t b) { return entries_[a].name < entries_[b].name; });
    refuse_change();
  }

  mapped_file file_;  // empty when over bytes
  std::string name_;
  metadata_map metadata_;
  std::vector<tensor_entry> entries_;
  std::vector<std::size_t> by_name_;
};

}  // namespace flame::safetensors
