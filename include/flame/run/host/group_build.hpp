// The instructions of a fused group as steps of a tile, each with the loop that does it; in no order yet.
#pragma once
#include <flame/base/error.hpp>
#include <flame/graph/names.hpp>
#include <flame/run/host/group_elementwise.hpp>
#include <flame/run/host/group_memory.hpp>
#include <flame/run/host/group_program.hpp>
#include <flame/run/host/group_random.hpp>

namespace flame::host_kernels::inline FLAME_HOST_ISA {

namespace tiles {

// Of a load or store.
[[nodiscard]] constexpr int cost_of(dtype in_memory) {
  return size_of(in_memory) == bytes_of(lane_for(in_memory)) ? 1 : 2;
}

// The key of a random number, made from another: fold(key, data).
inline void fold_loop(const step& s, const tile& t) {
  *t.at<i64>(s.result) =
      static_cast<i64>(flame::fold(static_cast<u64>(*t.at<i64>(s.a)), static_cast<u64>(*t.at<i64>(s.b))));
}

// What a tile stores.
struct stored {
  int slot, value;
  level at;
};
// Steps and values, as a builder has found them.
struct built_group {
  const group& g;
  prepared_group& p;
  list<step> code = {};   // of row and full values, in the order of the body
  list<bool> waits = {};  // of each of these: until another needs its result
  list<int> maker = {};  // of each value: the step in `code`, -1 for uniform values and results of reductions
  list<int> expanded[2] = {};  // of each value: itself at level row, full
  list<stored> stores = {};

  built_group(const group& that_group, prepared_group& to) : g(that_group), p(to) {}
  [[nodiscard]] const value& of(int v) const { return p.values[v]; }
};

struct builder : built_group {
  list<int> reduced = {};     // of each value: the column or total reduction that gives it, or -1
  list<int> index_slot = {};  // of each value: the index slot that it is, or -1
  list<int> value_of = {};    // of each instruction
  list<int> uses = {};        // of each instruction: how many others read it
  int at_instruction = 0;
  int cost = 1;  // of its operation

  using built_group::built_group;

  [[noreturn]] void refuse(const char* why) const {
    u8 c = g.body[at_instruction].code;
    std::string name = c == code_load    ? "load"
                       : c == code_store ? "store"
                       : c < op_count    ? string_of(name_of(static_cast<op>(c)))
                                         : std::to_string(c);
    throw error("flame::host_kernels::prepare: instruction " + std::to_string(at_instruction) + " (" + name +
                "): " + why);
  }

  int add_value(lane type, level at) {
    maker.push(-1);
    reduced.push(-1);
    index_slot.push(-1);
    expanded[0].push(-1);
    expanded[1].push(-1);
    return p.values.push({type, at});
  }

  // The value that the step gives.
  int emit(step s, lane type, level at, bool wait = false) {
    if (!s.loop) refuse("no such operation on this type");
    int v = add_value(type, at);
    s.result = v;
    s.at = at;
    s.cost = cost;
    if (at == level::uniform)
      p.uniform_steps.push(s);
    else
      maker[v] = code.push(s), waits.push(wait);
    return v;
  }

  int operand(int instruction) const {
    if (instruction < 0 || instruction >= at_instruction || value_of[instruction] < 0)
      refuse("an operand is not a value");
    return value_of[instruction];
  }

  int cast(int v, lane to) {
    if (of(v).type == to) return v;
    step s;
    s.loop = cast_for(of(v).type, to);
    s.a = v;
    return emit(s, to, of(v).at);
  }
  int expand(int v, level to) {
    if (of(v).at >= to) return v;
    int& known = expanded[to == level::full][v];
    if (known < 0) {
      step s;
      s.loop = expand_for(of(v).type, of(v).at);
      s.a = v;
      int made = emit(s, of(v).type, to, true);
      expanded[to == level::full][v] = made;  // `known` may have moved
      return made;
    }
    return known;
  }
  int operand_not_reduced(int instruction) const {
    int v = operand(instruction);
    if (reduced[v] >= 0) refuse("the result of a column or total reduction can only be stored");
    return v;
  }

  int load(const instruction& i) {
    if (i.a < 0 || i.a >= g.slots.size()) refuse("no such slot");
    const group_slot& slot = g.slots[i.a];
    lane type = lane_for(slot.element);
    if (slot.kind == slot_kind::output) refuse("an output cannot be read");
    if (slot.kind == slot_kind::uniform || (slot.kind == slot_kind::input && i.at == level::uniform)) {
      int v = add_value(type, level::uniform);
      p.numbers.push({v, i.a});
      return v;
    }
    step s;
    s.slot = i.a;
    cost = cost_of(slot.element);
    s.loop = slot.kind == slot_kind::index ? index_for(type) : load_for(slot.element);
    int v = emit(s, type, i.at, true);
    if (slot.kind == slot_kind::index) index_slot[v] = i.a;
    return v;
  }

  int random(const instruction& i, op o) {
    int k = operand_not_reduced(i.a), index = operand_not_reduced(i.b);
    if (of(k).at != level::uniform || of(k).type != lane::i64) refuse("the key must be a uniform value");
    lane type = lane_for(i.element);
    step s;
    s.a = k;
    if (index_slot[index] >= 0) {
      s.slot = index_slot[index];
      s.loop = random_for(o, type, true);
    } else {
      s.b = cast(index, lane::i64);
      s.loop = random_for(o, type, false);
    }
    return emit(s, type, of(index).at);
  }

  // The step that makes the value, if it multiplies two full floating values; else -1.
  [[nodiscard]] int product_of(int v) const {
    int m = maker[v];
    bool multiplies = m >= 0 && (code[m].loop == binary_for(op::mul, lane::f32, form::many, form::many) ||
                                 code[m].loop == binary_for(op::mul, lane::f64, form::many, form::many));
    return multiplies && of(v).at == level::full ? m : -1;
  }

  int reduce(const instruction& i, op o) {
    if (i.reduce == reduce_mode::none) refuse("a reduction without a mode");
    int x = operand_not_reduced(i.a);
    bool of_rows = i.reduce == reduce_mode::total && g.body[i.a].at == level::row;
    x = expand(x, of_rows ? level::row : level::full);
    lane type = of(x).type, result = o == op::argmax ? lane::i32 : type;
    step s;
    reduction_loops loops;
    if (int m = o == op::sum && uses[i.a] == 1 ? product_of(x) : -1; m >= 0) {
      loops = product_sum_for(type, i.reduce);
      s.a = code[m].a, s.b = code[m].b;
      waits[m] = true;  // for ever
    } else {
      loops = reduction_for(o, type, i.reduce, of_rows);
      s.a = x;
    }
    s.loop = loops.loop;
    if (i.reduce == reduce_mode::row) {
      p.whole_rows = true;
      return emit(s, result, level::row);
    }
    if (!s.loop) refuse("no such operation on this type");
    reduction r;
    r.mode = i.reduce;
    r.code = loops.code;
    r.result = add_value(result, level::uniform);
    s.at = level::full;
    s.reduction = p.reductions.push(r);
    code.push(s);
    waits.push(false);
    reduced[r.result] = s.reduction;
    return r.result;
  }

  // How operand v of a loop at `at` is given. A row's number for full values may still have to be expanded.
  [[nodiscard]] form form_of(int v, level at) const {
    return of(v).at == at ? form::many : of(v).at == level::uniform ? form::one : form::each_row;
  }
  [[nodiscard]] level highest(int a, int b) const { return of(a).at > of(b).at ? of(a).at : of(b).at; }

  int binary(const instruction& i, op o) {
    int a = operand_not_reduced(i.a), b = operand_not_reduced(i.b);
    lane type = of(a).type;
    b = cast(b, type);
    level at = highest(a, b);
    step s;
    s.loop = binary_for(o, type, form_of(a, at), form_of(b, at));
    if (!s.loop) {
      if (form_of(a, at) == form::each_row) a = expand(a, at);
      if (form_of(b, at) == form::each_row) b = expand(b, at);
      s.loop = binary_for(o, type, form_of(a, at), form_of(b, at));
    }
    s.a = a;
    s.b = b;
    bool compares = o == op::less || o == op::less_equal || o == op::equal || o == op::not_equal;
    int v = emit(s, compares ? lane::mask : type, at);
    return !compares && i.element == dtype::uint8 ? wrap(v) : v;
  }

  int where(const instruction& i) {
    int c = operand_not_reduced(i.a), a = operand_not_reduced(i.b), b = operand_not_reduced(i.c);
    if (of(c).type != lane::mask) refuse("the condition must be boolean");
    lane type = of(a).type;
    b = cast(b, type);
    level at = of(c).at > highest(a, b) ? of(c).at : highest(a, b);
    if (form_of(a, at) == form::each_row) a = expand(a, at);
    if (form_of(b, at) == form::each_row) b = expand(b, at);
    step s;
    s.loop = where_for(type, form_of(a, at), form_of(b, at));
    s.a = expand(c, at);
    s.b = a;
    s.c = b;
    return emit(s, type, at);
  }

  // An i32 as u8 holds it.
  int wrap(int v, bool from_floating = false) {
    step s;
    s.loop = cast_u8_for(from_floating);
    s.a = v;
    return emit(s, lane::i32, of(v).at);
  }

  int unary(const instruction& i, op o) {
    int x = operand_not_reduced(i.a);
    if (o == op::stop_gradient) return x;
    if (o == op::cast) {
      lane from = of(x).type;
      int v = cast(x, lane_for(i.element));
      if (has_16_bits(i.element)) {
        step s;
        s.loop = round_for(i.element);
        s.a = v;
        return emit(s, lane::f32, of(v).at);
      }
      return i.element == dtype::uint8 ? wrap(v, from == lane::f32 || from == lane::f64) : v;
    }
    step s;
    s.loop = unary_for(o, of(x).type);
    s.a = x;
    bool tests = o == op::is_finite || o == op::is_nan;
    int v = emit(s, tests ? lane::mask : of(x).type, of(x).at);
    return !tests && i.element == dtype::uint8 ? wrap(v) : v;
  }

  void store(const instruction& i) {
    if (i.a < 0 || i.a >= g.slots.size() || g.slots[i.a].kind != slot_kind::output) refuse("no such output");
    dtype d = g.slots[i.a].element;
    int v = operand(i.b);
    if (int r = reduced[v]; r >= 0) {
      if (of(v).type != lane_for(d)) refuse("the output has another type");
      step s;
      s.loop = store_for(d);
      s.at = p.reductions[r].mode == reduce_mode::total ? level::uniform : level::full;
      s.a = v;
      s.slot = i.a;
      p.reductions[r].stores.push(s);
      return;
    }
    if (of(v).at > i.at) refuse("the output is of a lower level than the value");
    stores.push({i.a, cast(v, lane_for(d)), i.at});
  }

  int compute(const instruction& i) {
    ++p.cost;
    cost = 1;
    if (i.code == code_load) return load(i);
    if (i.code == code_store) return store(i), -1;
    if (i.code >= op_count) refuse("no such operation");
    op o = static_cast<op>(i.code);
    cost = static_cast<int>(cost_of(o));
    if (i.at == level::full) p.cost += cost - 1;
    switch (o) {
      case op::uniform:
      case op::normal: return random(i, o);
      case op::fold: {
        step s;
        s.a = operand_not_reduced(i.a);
        s.b = cast(operand_not_reduced(i.b), lane::i64);
        if (of(s.a).at != level::uniform || of(s.b).at != level::uniform) refuse("keys are uniform values");
        s.loop = fold_loop;
        return emit(s, lane::i64, level::uniform);
      }
      case op::where: return where(i);
      case op::sum:
      case op::prod:
      case op::max:
      case op::min:
      case op::argmax: return reduce(i, o);
      default:
        if (kind_of(o) == op_kind::unary) return unary(i, o);
        if (kind_of(o) == op_kind::binary) return binary(i, o);
        refuse("not an operation of a fused group");
    }
  }

  void build() {
    p.slots = g.slots;
    uses.resize(g.body.size(), 0);
    auto use = [&](int v) {
      if (v >= 0 && v < uses.size()) ++uses[v];
    };
    for (const instruction& i : g.body) {
      if (i.code < op_count) use(i.a), use(i.c);
      if (i.code != code_load) use(i.b);
    }
    for (; at_instruction < g.body.size(); ++at_instruction) value_of.push(compute(g.body[at_instruction]));
    list<stored> tiled;
    for (const stored& o : stores) {
      if (o.at == level::uniform) {
        step s;
        s.loop = store_for(g.slots[o.slot].element);
        s.at = level::uniform;
        s.a = o.value;
        s.slot = o.slot;
        p.uniform_stores.push(s);
      } else {
        tiled.push(o);
      }
    }
    stores = tiled;
    for (const stored& o : stores) static_cast<void>(expand(o.value, o.at));
  }
};

}  // namespace tiles

}  // namespace flame::host_kernels::inline FLAME_HOST_ISA
