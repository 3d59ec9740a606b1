// Package tool runs the programs package managers are made of: an argument
// list, a fixed environment, no standard input, capped output, never a shell.
//
// There are two ways. Lines is for questions: the answer is streamed line by
// line, and a tool that takes too long is killed. Bench is for transactions:
// the tool gets a session of its own and writes to a file instead of a pipe,
// so neither the death of the agent nor a closed terminal reaches it; it is
// never killed, and the next agent finds it again and waits for it.
//
// A service manager that kills a whole control group when the agent stops
// would still reach it: the agent's systemd unit must say KillMode=process
// (mixed is not enough, it ends with SIGKILL to the group).
//
// Providers use it, and facts for the one question it puts to a tool.
package tool
