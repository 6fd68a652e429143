/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/child.h"
