//! A window of winit's, whose events are pumped in a task: no other thread is needed.
//!
//! `cargo run -p selkie-loops --features winit --bin winit_loop` shows an empty window for two
//! seconds, and prints what the runtime did meanwhile. For X11. Where winit must have the loop (on
//! macOS, iOS, the web), take turns in `about_to_wait`, as `game` does in each frame.

use std::error::Error;
use std::os::fd::AsFd;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::future::{Either, select};
use selkie::{Async, Builder, Runtime};
use selkie_loops::Check;
use winit::application::ApplicationHandler;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, EventLoop};
use winit::platform::pump_events::{EventLoopExtPumpEvents, PumpStatus};
use winit::window::{Window, WindowId};

// ----
/// Hands winit's events to `app` whenever there are some, until it exits.
async fn pump(
    mut event_loop: EventLoop<()>,
    app: &mut impl ApplicationHandler,
) -> std::io::Result<()> {
    // A duplicate, since the loop stays ours to pump.
    let connection = Async::new(event_loop.as_fd().try_clone_to_owned()?)?;
    loop {
        // Twice: a callback that asks the display may have read events, too.
        for _ in 0..2 {
            if let PumpStatus::Exit(_code) = event_loop.pump_app_events(Some(Duration::ZERO), app) {
                return Ok(());
            }
        }
        connection.readable().await?;
    }
}
// ----

struct App {
    window: Option<Window>,
    runtime: Rc<Runtime>,
    check: Check,
    events: usize,
}

impl ApplicationHandler for App {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        let window = event_loop.create_window(Window::default_attributes().with_title("selkie"));
        self.window = Some(window.expect("the display shows a window"));
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        self.events += 1;
        self.check.call(&self.runtime); // A callback of winit's spawns a task.
        if event == WindowEvent::CloseRequested {
            event_loop.exit();
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (runtime, check) = Check::open(Builder::new())?;
    let event_loop = EventLoop::new()?;
    let mut app = App { window: None, runtime: runtime.clone(), check: check.clone(), events: 0 };
    let (sender, ended) = futures::channel::oneshot::channel();
    check.start(&runtime, || sender.send(()).expect("it is waited for"));
    {
        let pumping = pin!(pump(event_loop, &mut app));
        if let Either::Left((pumped, _)) = runtime.block_on(select(pumping, ended)) {
            pumped?; // The window was closed too early, which `report` tells.
        }
    }
    check.report();
    println!("events of the window: {}", app.events);
    Ok(())
}
