//! Who asks the thread's world, and for how long.

use std::cell::Cell;
use std::io;
use std::net::TcpStream;
use std::rc::Rc;

use selkie::selector::{Backend, BackendKind};
use selkie::world::{World, install};
use selkie::{Builder, DefaultSelector, Runtime};

/// Counts the back ends that are opened in it.
#[derive(Default)]
struct Counting(Cell<u32>);

impl World for Counting {
    fn open(&self, kind: BackendKind) -> io::Result<Box<dyn Backend + Send>> {
        self.0.set(self.0.get() + 1);
        kind.open_system()
    }
}

#[test]
fn whatever_opens_a_back_end_by_default_asks_the_world_of_the_thread() {
    let world = Rc::new(Counting::default());
    let installed = install(Rc::clone(&world) as Rc<dyn World>);
    DefaultSelector::<TcpStream>::new().unwrap();
    assert_eq!(world.0.get(), 1, "DefaultSelector::new");
    Runtime::new().unwrap();
    assert_eq!(world.0.get(), 2, "Runtime::new");
    selkie::block_on(async {});
    assert_eq!(world.0.get(), 3, "block_on");
    Builder::new().build().unwrap();
    assert_eq!(world.0.get(), 4, "Builder::build");
    BackendKind::ALL[1].open().unwrap();
    assert_eq!(world.0.get(), 5, "BackendKind::open");
    std::thread::spawn(|| Runtime::new().unwrap().block_on(async {})).join().unwrap();
    assert_eq!(world.0.get(), 5, "another thread has another world");
    drop(installed);
    Runtime::new().unwrap();
    assert_eq!(world.0.get(), 5, "the world is not installed any more");
}

#[test]
fn a_world_that_is_installed_over_another_gives_way_to_it_again() {
    let [outer, inner] = [(); 2].map(|()| Rc::new(Counting::default()));
    let _outer = install(Rc::clone(&outer) as Rc<dyn World>);
    let installed = install(Rc::clone(&inner) as Rc<dyn World>);
    Runtime::new().unwrap();
    drop(installed);
    Runtime::new().unwrap();
    assert_eq!((outer.0.get(), inner.0.get()), (1, 1));
    assert_eq!(Rc::strong_count(&inner), 1, "a world is dropped with its last runtime");
}

#[test]
fn an_error_of_the_world_is_that_of_whoever_has_asked() {
    struct Full;
    impl World for Full {
        fn open(&self, _kind: BackendKind) -> io::Result<Box<dyn Backend + Send>> {
            Err(io::Error::other("nothing is to be had here"))
        }
    }
    let _installed = install(Rc::new(Full));
    assert_eq!(Runtime::new().unwrap_err().to_string(), "nothing is to be had here");
    assert!(DefaultSelector::<TcpStream>::new().is_err());
}

#[test]
fn a_builder_crosses_threads_whatever_its_runtime_will_live_in() {
    fn crosses<T: Send + 'static>(value: T) -> T {
        std::thread::spawn(move || value).join().ok().unwrap()
    }
    let builder = crosses(Builder::new().polls_per_turn(3));
    let backend = BackendKind::DEFAULT.open().unwrap();
    let runtime = builder.build_in(backend, Rc::new(Counting::default())).unwrap();
    assert_eq!(runtime.block_on(async { 1 }), 1);
}
