//! `carillon-prove [rung …]`: runs the rungs named, or all, and prints one line of counts each.

fn main() {
    println!("no rung stands yet");
}
