// How the ten digits are written: the strokes of each way, as points that the pen passes.
#pragma once
#include <array>
#include <cstddef>

namespace flame::pen {

enum class turn : unsigned char { smooth, corner, lift };  // lift: the pen is set down here anew

// A point that the pen passes: x to the right, y down, a digit about 65 wide and 100 high.
struct knot {
  int x = 0, y = 0;
  turn how = turn::smooth;
};

// One way to write a digit: knots "x,y" separated by spaces, '^' after a corner, "/ " before a new stroke.
struct glyph {
  static constexpr std::size_t most = 16;
  int digit, weight, slant;  // weight: how often among the digit's; slant: mean, in hundredths
  std::size_t count = 0;
  std::array<knot, most> knots{};

  consteval glyph(int digit_, int weight_, int slant_, const char* text)
      : digit(digit_), weight(weight_), slant(slant_) {
    bool inside = false, second = false;  // a knot; its y
    for (; *text; ++text) {
      if (*text >= '0' && *text <= '9') {
        if (!inside) ++count;
        inside = true;
        int& value = second ? knots[count - 1].y : knots[count - 1].x;
        value = 10 * value + (*text - '0');
      } else if (*text == ',') {
        second = true;
      } else if (*text == '^') {
        knots[count - 1].how = turn::corner;
      } else {
        inside = second = false;
        if (*text == '/') knots[count].how = turn::lift;
      }
    }
  }
};

// clang-format off
inline constexpr glyph glyphs[] = {
    // A ring, closed at the top, from a narrow to a round one, and one whose ends cross.
    {0, 4, 15, "40,2 18,14 5,45 12,82 36,99 60,84 68,50 58,14 36,3 30,8"},
    {0, 3, 15, "52,8 30,1 8,25 3,60 20,95 45,96 64,65 62,28 45,8 38,6"},
    {0, 2, 20, "32,2 14,12 6,48 14,88 30,99 46,88 54,50 46,12 30,2"},
    {0, 1, 15, "60,0 40,4 15,20 4,55 18,92 45,97 66,70 64,30 48,10 34,14"},
    {0, 3, 20, "40,4 16,16 4,48 16,86 46,98 78,82 88,48 76,14 48,2 34,8"},
    // A stroke; bent; with a flag; with a flag and a foot.
    {1, 12, 24, "50,0 50,33 50,67 50,100"},
    {1, 3, 24, "46,0 51,30 52,65 48,100"},
    {1, 1, 8, "36,16 50,2^ 50,50 50,100"},
    {1, 1, 8, "32,20 50,2^ 50,50 50,98 / 28,100 50,99 74,99"},
    // Angular foot; loop at the foot; wave; wide head; flat head; large loop; long foot; curled head.
    {2, 3, 5, "8,22 22,4 46,1 62,16 58,40 34,68 6,97^ 36,96 70,97"},
    {2, 4, 5, "8,20 24,3 48,2 62,18 56,44 34,74 14,92 4,88 12,77 28,82 46,94 74,92"},
    {2, 2, 5, "6,26 20,6 44,0 60,14 56,38 36,66 8,92^ 24,86 46,96 74,88"},
    {2, 2, 5, "12,32 4,18 22,2 52,6 58,30 40,68 16,97^ 40,92 74,92"},
    {2, 1, 5, "6,8 34,2 60,8 56,30 30,64 4,98^ 38,94 70,96"},
    {2, 3, 10, "10,30 14,8 36,0 56,14 54,44 34,78 12,98 0,92 4,80 22,78 46,90 82,96"},
    {2, 3, 10, "14,22 30,6 48,16 44,44 24,78 2,92^ 30,90 64,92 96,96"},
    {2, 3, 10, "22,38 8,22 28,1 54,10 56,36 38,70 16,96 2,90 16,76 38,88 70,98"},
    // Two bows; flat head; a small loop in the middle; shallow and deep waists.
    {3, 4, 5, "8,14 28,1 56,6 62,24 46,42 28,48^ 52,54 66,74 52,96 26,100 4,88"},
    {3, 1, 5, "8,4 34,4 60,4^ 30,42^ 54,50 66,74 48,98 22,99 4,88"},
    {3, 3, 5, "10,12 34,0 60,12 52,34 34,47 24,46 32,43 54,54 64,78 46,99 20,99 2,92"},
    {3, 3, 5, "10,18 30,1 56,9 50,32 24,49^ 52,53 62,78 38,99 0,96"},
    {3, 2, 5, "4,6 40,0 64,10 42,34 18,51^ 46,55 58,78 38,98 6,98"},
    // Open; closed; open and angular; open, in one stroke.
    {4, 4, 12, "16,0 8,40 8,56 30,58 66,52 / 58,6 55,50 52,100"},
    {4, 1, 12, "50,0 26,34 2,64^ 34,64 74,62 / 52,2 53,40 53,100"},
    {4, 3, 12, "12,4 4,50^ 30,50 62,44 / 66,0 58,48 50,100"},
    {4, 2, 12, "12,2 6,30 8,49 34,52 60,40 66,2^ 60,50 54,100"},
    // Bar drawn last; in one stroke; like an S; each with a small bow and a long bar.
    {5, 3, 12, "16,4 12,42^ 34,36 60,50 62,76 40,98 6,92 / 16,4 40,4 70,1"},
    {5, 3, 12, "66,2 40,4 18,6^ 12,42^ 36,38 60,56 56,82 34,98 4,92"},
    {5, 2, 12, "64,4 34,2 16,16 20,38 44,48 60,66 52,90 28,100 6,90"},
    {5, 2, 8, "30,10 24,40^ 40,40 52,58 42,84 18,98 0,94 / 30,10 60,6 92,0"},
    {5, 3, 8, "84,0 56,6 30,12^ 20,44^ 42,42 54,62 42,88 18,100 2,94"},
    // Bent; straight; with a hook at the head; with a wide bowl; the bowl crossing the stem.
    {6, 4, 8, "54,2 30,18 10,50 6,78 22,99 48,96 58,78 44,62 22,68 10,84"},
    {6, 4, 8, "42,0 22,34 8,68 14,93 36,100 54,88 52,68 36,60 16,72 10,82"},
    {6, 1, 8, "62,6 44,0 20,22 6,60 14,92 38,100 60,84 52,64 30,60 14,74"},
    {6, 3, 8, "34,0 14,26 4,60 10,89 36,100 66,90 70,68 52,54 28,62 14,82"},
    {6, 3, 8, "30,0 10,40 6,76 24,98 52,92 62,70 48,58 30,70 26,94"},
    // Angular; with a bar; with a serif; round; with serif and bar; narrow; with a small head.
    {7, 4, 8, "2,8 36,6 72,2^ 54,34 38,66 28,100"},
    {7, 2, 8, "2,8 36,6 72,2^ 54,34 38,66 28,100 / 16,54 36,51 60,46"},
    {7, 3, 8, "2,26 6,4^ 36,6 70,2^ 52,40 38,70 30,100"},
    {7, 2, 8, "2,14 20,4 48,6 66,12 56,36 40,66 34,100"},
    {7, 2, 8, "0,26 6,6^ 38,8 70,2^ 50,46 34,100 / 14,54 66,48"},
    {7, 2, 8, "12,24 14,6 38,2 56,8 52,32 42,66 36,100"},
    {7, 1, 8, "10,18 18,4 44,2 58,12 54,50 50,100"},
    // From the right; two rings; open at the top; ending in a long stroke.
    {8, 5, 10, "56,12 38,0 18,8 18,28 36,46 54,66 54,90 34,100 14,92 14,70 34,48 52,30 58,14 50,4"},
    {8, 2, 10, "36,0 18,10 20,34 36,46 52,32 54,10 34,1 / 38,46 16,62 12,88 34,100 56,88 54,62 34,46"},
    {8, 3, 10, "66,8 42,1 20,12 28,38 44,56 52,80 36,100 18,88 26,64 46,38 68,12"},
    {8, 4, 10, "60,14 40,0 20,12 28,38 44,62 42,92 22,100 8,86 22,60 48,32 82,4"},
    // Straight tail; tail bent back; slanting tail; pointed head; open head; round tail.
    {9, 4, 8, "56,14 34,2 10,12 6,32 24,43 48,34 58,10^ 56,50 50,100"},
    {9, 1, 8, "54,10 32,0 8,14 10,36 32,43 52,30 58,10 60,48 48,84 22,100 6,92"},
    {9, 3, 8, "52,10 30,2 8,17 12,38 38,36 56,10^ 46,56 36,100"},
    {9, 3, 8, "52,9 30,5 8,24 16,43 40,35 62,0^ 54,50 42,100"},
    {9, 3, 8, "46,6 26,2 8,18 14,40 36,37 54,18 60,6^ 52,52 40,100"},
    {9, 3, 8, "54,14 36,1 14,11 10,30 28,38 48,26 56,10 50,46 36,74 18,100"},
};
// clang-format on

}  // namespace flame::pen
