// Runs the design once on the data in 'data' and compares it with the reference's results.
#include <math.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "hls.h"

$signature;

template <typename T>
std::vector<T> read(const char *name, size_t elements) {
  std::vector<T> values(elements ? elements : 1);
  const std::string path = std::string("data/") + name + ".bin";
  FILE *file = fopen(path.c_str(), "rb");
  if (!file || fread(values.data(), sizeof(T), elements, file) != elements) {
    printf("cannot read %s\n", path.c_str());
    exit(2);
  }
  fclose(file);
  return values;
}

template <typename T>
size_t compare(const char *name, const std::vector<T> &found, double tolerance) {
  const std::vector<T> golden = read<T>(name, found.size());
  double largest = 0;
  for (const T value : golden)
    if (isfinite((double)value)) largest = fmax(largest, fabs((double)value));
  size_t wrong = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const double a = (double)found[i], b = (double)golden[i];
    const bool same = found[i] == golden[i] || (isnan(a) && isnan(b));
    if (!same && !(fabs(a - b) <= tolerance * largest)) {
      if (wrong < 3) printf("%s[%zu] is %.9g, not %.9g\n", name, i, a, b);
      ++wrong;
    }
  }
  printf("%s: %zu of %zu values are wrong\n", name, wrong, found.size());
  return wrong;
}

int main() {
  size_t wrong = 0;
$body
  return wrong != 0;
}
