// Calls and stacks against the same networks unrolled: values, gradients, gradients of gradients; the laws
// are in functions/network.hpp.
