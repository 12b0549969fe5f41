// Every kernel.
#pragma once
#include <flame/run/cuda/kernel/attention.hpp>
#include <flame/run/cuda/kernel/attention16.hpp>
#include <flame/run/cuda/kernel/finish.hpp>
#include <flame/run/cuda/kernel/group.hpp>
#include <flame/run/cuda/kernel/library.hpp>
#include <flame/run/cuda/kernel/map.hpp>
#include <flame/run/cuda/kernel/product16.hpp>
