// Every operation and every composite, enrolled in all laws by one line each; the laws are in laws.hpp.
