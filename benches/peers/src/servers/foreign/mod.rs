//! The peers that are programs of their own: Python scripts, and C over libuv. What they need
//! is put into a temporary folder; where that fails, the reason goes into the report.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

const SELECTORS: &str = include_str!("selectors_echo.py");
const ASYNCIO: &str = include_str!("asyncio_echo.py");
const LIBUV: &str = include_str!("libuv_echo.c");

fn python(tools: &Path) -> PathBuf {
    tools.join("venv/bin/python")
}

fn libuv_server(tools: &Path) -> PathBuf {
    tools.join("libuv_echo")
}

/// Makes a virtual environment, so that whatever `python3` is in the path is found once.
pub fn prepare_python(tools: &Path) -> Result<()> {
    if python(tools).exists() {
        return Ok(());
    }
    fs::write(tools.join("selectors_echo.py"), SELECTORS)?;
    fs::write(tools.join("asyncio_echo.py"), ASYNCIO)?;
    run(Command::new("python3").args(["-m", "venv"]).arg(tools.join("venv")))
}

pub fn prepare_uvloop(tools: &Path) -> Result<()> {
    prepare_python(tools)?;
    let installed = run(Command::new(python(tools)).args(["-c", "import uvloop"]));
    if installed.is_ok() {
        return Ok(());
    }
    run(Command::new(python(tools)).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "uvloop",
    ]))
}

pub fn prepare_libuv(tools: &Path) -> Result<()> {
    if libuv_server(tools).exists() {
        return Ok(());
    }
    let source = tools.join("libuv_echo.c");
    fs::write(&source, LIBUV)?;
    run(Command::new("cc").args(["-O3", "-o"]).arg(libuv_server(tools)).arg(source).arg("-luv"))
        .context("needs cc and libuv's header (libuv1-dev)")
}

pub fn libuv(tools: &Path) -> Command {
    Command::new(libuv_server(tools))
}

pub fn python_selectors(tools: &Path) -> Command {
    script(tools, "selectors_echo.py")
}

pub fn python_asyncio(tools: &Path) -> Command {
    script(tools, "asyncio_echo.py")
}

pub fn python_uvloop(tools: &Path) -> Command {
    let mut command = script(tools, "asyncio_echo.py");
    command.arg("uvloop");
    command
}

fn script(tools: &Path, name: &str) -> Command {
    let mut command = Command::new(python(tools));
    command.arg(tools.join(name));
    command
}

/// The versions of what was prepared in `tools`, for the report.
pub fn versions(tools: &Path) -> Vec<String> {
    let mut python_version = Command::new(python(tools));
    python_version.args(["-c", "import platform; print('Python', platform.python_version())"]);
    let mut uvloop_version = Command::new(python(tools));
    uvloop_version.args(["-c", "import uvloop; print('uvloop', uvloop.__version__)"]);
    let mut libuv_version = libuv(tools);
    libuv_version.arg("--version");
    let asked = [python_version, uvloop_version, libuv_version];
    asked.into_iter().filter_map(|mut command| output(&mut command).ok()).collect()
}

/// Runs `command` to its end; an error is the last line of what it had to say.
fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

fn output(command: &mut Command) -> Result<String> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{} does not start", name.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}", name.display(), said.lines().last().unwrap_or("failed"));
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
