// gzip files (RFC 1952), through zlib; the only header that includes it.
#pragma once
#include <zlib.h>
#include <flame/io/file.hpp>

#include <algorithm>

namespace flame {

namespace detail {

// zlib's inflate stream, ended however the scope is left.
struct inflate_stream {
  z_stream z{};
  inflate_stream() {
    if (::inflateInit2(&z, 15 + 16) != Z_OK)
      throw error("gunzip: zlib cannot be initialised");  // 16: gzip only
  }
  inflate_stream(const inflate_stream&) = delete;
  inflate_stream& operator=(const inflate_stream&) = delete;
  ~inflate_stream() { ::inflateEnd(&z); }
};

}  // namespace detail

[[nodiscard]] inline bool is_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

// The content of a gzip stream of one or more members; zero bytes after the last are padding, as gzip has it.
// Throws flame::error, which begins with `name`: cut short, corrupt (also by its checksum), followed by
// anything else, or more than `limit` bytes of content. Memory grows with the content, never with what a
// header claims.
[[nodiscard]] inline std::vector<std::byte> gunzip(std::span<const std::byte> packed, u64 limit,
                                                   const std::string& name = "gunzip") {
  detail::inflate_stream stream;
  z_stream& z = stream.z;
  std::vector<std::byte> out;
  std::size_t used = 0, taken = 0;
  for (int members = 0;; ++members) {
    std::size_t next = taken;
    while (members > 0 && next < packed.size() && packed[next] == std::byte{0}) ++next;
    if (members > 0 && next == packed.size()) break;
    if (members > 0 && (next != taken || !is_gzip(packed.subspan(taken))))
      throw error(name + ": bytes that are not gzip follow the compressed data");
    if (members > 0) ::inflateReset(&z);
    for (int status = Z_OK; status != Z_STREAM_END;) {
      if (used == out.size()) {
        if (used > limit)
          throw error(name + ": content is larger than the limit of " + std::to_string(limit) + " bytes");
        const u64 grown = std::max<u64>({65536, packed.size() * u64{2}, used + used / 2});
        out.resize(
            static_cast<std::size_t>(limit < grown ? limit + 1 : grown));  // one more, to see an excess
      }
      const auto room = static_cast<uInt>(std::min<std::size_t>(out.size() - used, std::size_t{1} << 30));
      const auto rest = static_cast<uInt>(std::min<std::size_t>(packed.size() - taken, std::size_t{1} << 30));
      z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data() + taken));
      z.avail_in = rest;
      z.next_out = reinterpret_cast<Bytef*>(out.data() + used);
      z.avail_out = room;
      status = ::inflate(&z, Z_NO_FLUSH);
      taken += rest - z.avail_in;
      used += room - z.avail_out;
      if (status == Z_STREAM_END) break;
      if (status == Z_BUF_ERROR || (status == Z_OK && taken == packed.size() && z.avail_out != 0))
        throw error(name + ": gzip data is cut short");
      if (status == Z_MEM_ERROR) throw std::bad_alloc();
      if (status != Z_OK)
        throw error(name + ": gzip data is corrupt" + (z.msg ? std::string(": ") + z.msg : std::string()));
    }
  }
  if (used > limit)
    throw error(name + ": content is larger than the limit of " + std::to_string(limit) + " bytes");
  out.resize(used);
  return out;
}

// The content of a file, unpacked if it begins with gzip's mark. Throws flame::error as read_file and gunzip
// do; the limit holds for the packed and for the unpacked size.
[[nodiscard]] inline std::vector<std::byte> read_maybe_gzip(const std::string& path,
                                                            u64 limit = u64{1} << 33) {
  std::vector<std::byte> bytes = read_file(path, limit);
  if (is_gzip(bytes)) return gunzip(bytes, limit, "read_maybe_gzip: " + path);
  return bytes;
}

}  // namespace flame
