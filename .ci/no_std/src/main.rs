//! A conversation in memory, in a program that has `prism-core` but no standard library.
//!
//! It has its own panic handler and allocator. A dependency that links `std` would bring a second panic
//! handler, and this would no longer compile.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use bytes::BytesMut;
use core::alloc::{GlobalAlloc, Layout};
use core::error::Error;
use core::ffi::{c_char, c_int};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use prism_core::{Config, Event, MaskKeys, Message, RecvBuffer, WebSocket};

/// The C runtime calls this.
#[unsafe(no_mangle)]
extern "C" fn main(_count: c_int, _arguments: *const *const c_char) -> c_int {
    c_int::from(!matches!(converse(), Ok(true)))
}

/// Lets a client send a message and the server echo it. Returns whether the echo arrived.
fn converse() -> Result<bool, Box<dyn Error>> {
    let config = Config::default();
    let mut server = WebSocket::server(&config);
    let mut client = WebSocket::client(&config, MaskKeys::new(|bytes| bytes.fill(7)));
    let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());

    client.send("hello", &mut to_server)?;
    let mut input = RecvBuffer::default();
    input.extend_from_slice(&to_server);
    let Some(Event::Message(message)) = server.receive(&mut input, &mut to_client)? else {
        return Ok(false);
    };
    server.send(message, &mut to_client)?;

    let mut input = RecvBuffer::default();
    input.extend_from_slice(&to_client);
    let answer = client.receive(&mut input, &mut to_server)?;
    Ok(matches!(answer, Some(Event::Message(Message::Text("hello")))))
}

/// Allocates the arena from front to back, and never frees.
struct Arena(AtomicUsize);

const SIZE: usize = 1 << 20;
static mut MEMORY: [u8; SIZE] = [0; SIZE];

#[global_allocator]
static ARENA: Arena = Arena(AtomicUsize::new(0));

// SAFETY: each call moves `self.0` past the range it hands out, so no two ranges overlap, and what
// it hands out lies in that range and is aligned as asked.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = &raw mut MEMORY as *mut u8;
        // Reserves room for the worst alignment, so that one addition is enough.
        let taken = self.0.fetch_add(layout.size() + layout.align(), Relaxed);
        if taken + layout.size() + layout.align() > SIZE {
            return null_mut();
        }
        let free = base.wrapping_add(taken);
        free.wrapping_add(free.align_offset(layout.align()))
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    abort()
}

// What a program without `std` still needs from C: `_start`, `memcpy` and the like, and `abort`.
#[link(name = "c")]
unsafe extern "C" {
    safe fn abort() -> !;
}

/// `alloc` was compiled for programs that unwind, and refers to this symbol. It is never called.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
