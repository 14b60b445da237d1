//! This process, its parent and its descendants.

use rustix::process::{
    DumpableBehavior, Pid, Signal, getpid, getppid, kill_process, set_child_subreaper,
    set_dumpable_behavior, set_parent_process_death_signal,
};

/// Has the kernel kill this process when its parent ends, so that nothing goes on serving unwatched.
/// `parent` is the process that forked this one: if it has ended already, so does this one.
pub fn die_with_parent(parent: i32) {
    let is_set = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    if is_set && getppid().map(Pid::as_raw_pid) != Some(parent) {
        // The parent ended before the kernel knew; there is nobody to tell.
        let _unkillable = kill_process(getpid(), Signal::KILL);
    }
}

/// Makes this process the parent of its descendants whose own parent ends, so that it can wait for
/// them. Returns whether the kernel does that.
pub fn become_subreaper() -> bool {
    // Any process number means yes.
    set_child_subreaper(Some(getpid())).is_ok()
}

/// Lets processes of the same user look at this one and its children: at their memory, their
/// descriptors and their core dumps. The kernel forbids it to whoever gives root up.
pub fn stay_inspectable() {
    // Where the system has no such thing nothing was forbidden either.
    let _allowed = set_dumpable_behavior(DumpableBehavior::Dumpable);
}
