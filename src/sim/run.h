// What a run is built of.

#pragma once

// The last looks of bell_sim_finally.
void build_check_finals(void);
