//! Make before break: which copies of a component exist while it moves, and whom its callers use.
