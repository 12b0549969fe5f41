// safetensors, writing: the same tensors and metadata give the same bytes, whole or not at all.
#pragma once
#include <flame/io/atomic_file.hpp>
#include <flame/io/safetensors_entry.hpp>

#include <cstring>

namespace flame::safetensors {

namespace detail {

// Appends a JSON string; throws flame::error unless the text is UTF-8.
inline void append_json(std::string& out, std::string_view text) {
  if (!is_utf8(text)) throw error("safetensors: " + quote_text(text) + " is not UTF-8");
  out += '"';
  for (char c : text) {
    const std::size_t escape = std::string_view("\"\\\b\f\n\r\t").find(c);
    if (escape != std::string_view::npos) {
      out += {'\\', "\"\\bfnrt"[escape]};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      const char* digit = "0123456789abcdef";
      out += {'\\', 'u', '0', '0', digit[c >> 4], digit[c & 15]};
    } else {
      out += c;
    }
  }
  out += '"';
}

// The order in which tensors lie in the file: by dtype, widest first, then by name.
[[nodiscard]] inline std::vector<const tensor_entry*> written_order(std::span<const tensor_entry> entries) {
  std::vector<const tensor_entry*> order;
  order.reserve(entries.size());
  for (const tensor_entry& entry : entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const tensor_entry* a, const tensor_entry* b) {
    return a->dtype != b->dtype ? a->dtype > b->dtype : a->name < b->name;
  });
  return order;
}

// The length and the header, padded with spaces to a multiple of 8, for tensors in that order.
[[nodiscard]] inline std::string preamble(std::span<const tensor_entry* const> order,
                                          const metadata_map& metadata) {
  std::string text = "{";
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      if (text.back() != '{') text += ',';
      append_json(text, key);
      text += ':';
      append_json(text, value);
    }
    text += '}';
  }
  std::vector<std::string_view> names;
  u64 offset = 0;
  for (const tensor_entry* entry : order) {
    const std::string who = "safetensors: tensor " + quote_text(entry->name);
    if (entry->name == "__metadata__") throw error(who + ": the name is reserved");
    const u64 size = bytes_of(entry->dtype, entry->shape, who);
    if (size != entry->bytes)
      throw error(who + ": its shape needs " + std::to_string(size) + " bytes, given are " +
                  std::to_string(entry->bytes));
    if (size != 0 && !entry->data) throw error(who + ": its data is null");
    names.push_back(entry->name);
    if (text.size() > 1) text += ',';
    append_json(text, entry->name);
    text += ":{\"dtype\":\"";
    text += name_of(entry->dtype);
    text += "\",\"shape\":[";
    for (std::size_t axis = 0; axis < entry->shape.size(); ++axis)
      text.append(axis ? "," : "").append(std::to_string(entry->shape[axis]));  // g++ 12 misjudges "," + s
    text += "],\"data_offsets\":[" + std::to_string(offset) + ",";
    if (__builtin_add_overflow(offset, size, &offset)) throw error(who + ": the file's size overflows");
    text += std::to_string(offset) + "]}";
  }
  text += '}';
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) throw error("safetensors: tensor " + quote_text(*twice) + " is given twice");
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > header_limit) throw error("safetensors: the header is larger than 100,000,000 bytes");
  std::string out(8, '\0');
  const u64 length = text.size();
  std::memcpy(out.data(), &length, 8);
  return out + text;
}

}  // namespace detail

// The file's bytes. Throws flame::error where a name occurs twice, is reserved or not UTF-8, or a tensor's
// bytes are not those of its shape.
[[nodiscard]] inline std::string serialize(std::span<const tensor_entry> entries,
                                           const metadata_map& metadata = {}) {
  const std::vector<const tensor_entry*> order = detail::written_order(entries);
  std::string out = detail::preamble(order, metadata);
  for (const tensor_entry* entry : order)
    if (entry->bytes != 0)
      out.append(reinterpret_cast<const char*>(entry->data), static_cast<std::size_t>(entry->bytes));
  return out;
}

// Writes the same bytes to a file, atomically (see atomic_writer), without a copy of the data in memory.
inline void write(const std::string& path, std::span<const tensor_entry> entries,
                  const metadata_map& metadata = {}) {
  const std::vector<const tensor_entry*> order = detail::written_order(entries);
  const std::string preamble = detail::preamble(order, metadata);
  write_atomically(path, [&](atomic_writer& out) {
    out.write(preamble);
    for (const tensor_entry* entry : order) out.write({entry->data, static_cast<std::size_t>(entry->bytes)});
  });
}

}  // namespace flame::safetensors
