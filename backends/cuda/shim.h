/* Runs CUDA text on a processor, for tests: include it before the text and call shim::launch.
 *
 * The threads of a block run one after another. Where a kernel has barriers each thread is a fiber
 * that gives way at a barrier; a block in which some threads end while others wait is reported. */

#include <math.h>
#include <ucontext.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(n)
#define __shared__ static thread_local

namespace shim {

struct Index {
  unsigned x, y, z;
};

constexpr std::size_t STACK_BYTES = 1 << 16;

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  Index place;
  bool ended;
};

static thread_local ucontext_t scheduler;
static thread_local Fiber *running;
static thread_local const std::function<void()> *work;

}  // namespace shim

static thread_local shim::Index threadIdx, blockIdx;

inline void __syncthreads() {
  swapcontext(&shim::running->context, &shim::scheduler);
}

namespace shim {

inline void enter_fiber() {
  (*work)();
  running->ended = true;
  swapcontext(&running->context, &scheduler);
}

inline void start(Fiber &fiber, const Index &place) {
  if (!fiber.stack) fiber.stack.reset(new char[STACK_BYTES]);
  fiber.place = place;
  fiber.ended = false;
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack.get();
  fiber.context.uc_stack.ss_size = STACK_BYTES;
  fiber.context.uc_link = &scheduler;
  makecontext(&fiber.context, enter_fiber, 0);
}

/* Runs every fiber up to its next barrier or its end; returns how many have ended. */
inline std::size_t advance(std::vector<Fiber> &fibers) {
  std::size_t ended = 0;
  for (Fiber &fiber : fibers) {
    running = &fiber;
    threadIdx = fiber.place;
    swapcontext(&scheduler, &fiber.context);
    ended += fiber.ended;
  }
  return ended;
}

inline bool run_fibers(std::vector<Fiber> &fibers, const Index &size) {
  std::size_t number = 0, ended = 0;
  for (unsigned z = 0; z < size.z; ++z)
    for (unsigned y = 0; y < size.y; ++y)
      for (unsigned x = 0; x < size.x; ++x) start(fibers[number++], {x, y, z});
  while (ended == 0) ended = advance(fibers);
  return ended == fibers.size();
}

inline void run_plainly(const Index &size, const std::function<void()> &kernel) {
  for (unsigned z = 0; z < size.z; ++z)
    for (unsigned y = 0; y < size.y; ++y)
      for (unsigned x = 0; x < size.x; ++x) {
        threadIdx = {x, y, z};
        kernel();
      }
}

/* Runs a grid; returns 0, or 1 if the threads of a block did not all reach the same barrier. */
inline int launch(const unsigned *blocks, const Index &size, bool barriers,
                  const std::function<void()> &kernel) {
  std::vector<Fiber> fibers(barriers ? size.x * size.y * size.z : 0);
  work = &kernel;
  for (unsigned z = 0; z < blocks[2]; ++z)
    for (unsigned y = 0; y < blocks[1]; ++y)
      for (unsigned x = 0; x < blocks[0]; ++x) {
        blockIdx = {x, y, z};
        if (!barriers)
          run_plainly(size, kernel);
        else if (!run_fibers(fibers, size))
          return 1;
      }
  return 0;
}

}  // namespace shim
