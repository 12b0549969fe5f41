// The main of every test program: doctest's, with a private temporary folder, and a failure where nothing was
// tested.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>

namespace {

// Tests run side by side; what they write under std::filesystem::temp_directory_path() is theirs alone, and
// goes with them.
class private_temporary_folder {
 public:
  private_temporary_folder() {
    path_ = (std::filesystem::temp_directory_path() / "flame-test-XXXXXX").string();
    if (mkdtemp(path_.data()) == nullptr) throw std::system_error(errno, std::generic_category(), path_);
    setenv("TMPDIR", path_.c_str(), 1);
  }
  private_temporary_folder(const private_temporary_folder&) = delete;
  private_temporary_folder& operator=(const private_temporary_folder&) = delete;
  ~private_temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

 private:
  std::string path_;
};

// doctest calls a run that found no test case a success; a test program without a test is none.
struct count_test_cases : doctest::IReporter {
  static inline unsigned found = 0;
  explicit count_test_cases(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats& run) override { found = run.numTestCasesPassingFilters; }
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("count", 1, count_test_cases);

}  // namespace

// What a program of tests needs and this machine lacks, in words; programs that need nothing do not define
// it.
extern "C" const char* flame_test_lacks() __attribute__((weak));

int main(int argc, char** argv) {
  if (flame_test_lacks)
    if (const char* what = flame_test_lacks()) {
      std::cout << "skipped: there is no " << what << "\n";
      return 0;
    }
  // Where committed test data lies, unless the caller says otherwise: FLAME_TESTS is this folder, FLAME_DATA
  // holds data sets (mnist/), and is not set where there are none.
  setenv("FLAME_TESTS", FLAME_TESTS_FOLDER, 0);
  if (std::string(FLAME_DATA_FOLDER) != "") setenv("FLAME_DATA", FLAME_DATA_FOLDER, 0);

  const private_temporary_folder folder;
  doctest::Context context(argc, argv);
  const int result = context.run();
  if (context.shouldExit()) return result;
  if (count_test_cases::found == 0) {
    std::cerr << "no test case was found\n";
    return 1;
  }
  return result;
}
