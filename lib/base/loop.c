/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/loop.h"
