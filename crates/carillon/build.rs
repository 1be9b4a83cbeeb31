//! The web app is embedded from web/dist. Without it the server still builds and tests: the folder is
//! made empty, and the shell then says what to run.

fn main() -> std::io::Result<()> {
    let dist = "../../web/dist";
    std::fs::create_dir_all(dist)?;
    println!("cargo::rerun-if-changed={dist}");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}
