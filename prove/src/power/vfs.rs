//! The shim between SQLite and the system: every operation on a watched folder goes past its
//! [`Disk`], everything else straight through.
//!
//! It stands over the default VFS and becomes the default, so that the product is used unchanged.
//! Shared memory and mapped reads are the system's own: after a power cut both are gone anyway.

#![expect(unsafe_code, reason = "SQLite's VFS is a table of C functions")]

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use rusqlite::ffi;

use super::disk::{Disk, Fate};

/// Folders that are watched, and their disks.
static WATCHED: Mutex<Option<HashMap<PathBuf, Arc<Disk>>>> = Mutex::new(None);
/// The VFS below.
static BELOW: OnceLock<Below> = OnceLock::new();
/// The commit is not synced (`synchronous=NORMAL`) whatever the product asks for.
static HASTY: AtomicBool = AtomicBool::new(false);

struct Below(*mut ffi::sqlite3_vfs);
// SAFETY: the default VFS lives as long as the process and may be called from any thread.
unsafe impl Send for Below {}
// SAFETY: as above.
unsafe impl Sync for Below {}

/// Lets every database in `folder` be kept on this disk, until dropped.
pub(crate) fn watch(folder: &Path, disk: &Arc<Disk>) -> Watch {
    install();
    let mut watched = WATCHED.lock().unwrap_or_else(|e| e.into_inner());
    watched.get_or_insert_default().insert(folder.to_owned(), disk.clone());
    Watch(folder.to_owned())
}

pub(crate) struct Watch(PathBuf);

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = WATCHED.lock().unwrap_or_else(|e| e.into_inner());
        watched.get_or_insert_default().remove(&self.0);
    }
}

/// The seam that shows that the test is not blind: connections opened from now on run at
/// `synchronous=NORMAL`, and the product's own `PRAGMA synchronous` is not heard.
pub(crate) fn hasty(yes: bool) {
    install();
    HASTY.store(yes, Ordering::SeqCst);
}

/// Registers the shim as the default VFS, once a process.
fn install() {
    BELOW.get_or_init(|| {
        // SAFETY: `sqlite3_vfs_find(NULL)` gives the default VFS, which is never freed. The copy
        // registered over it is leaked, so that it lives as long. Its functions that are not ours
        // take the VFS as an argument they do not look into, but for fields copied with it.
        unsafe {
            let below = ffi::sqlite3_vfs_find(ptr::null());
            assert!(!below.is_null(), "SQLite has a default VFS");
            let mut vfs: ffi::sqlite3_vfs = ptr::read(below);
            vfs.zName = c"carillon-power".as_ptr();
            vfs.pNext = ptr::null_mut();
            vfs.szOsFile += size_of::<File>() as c_int;
            vfs.xOpen = Some(open);
            vfs.xDelete = Some(delete);
            let registered = ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1);
            assert_eq!(registered, ffi::SQLITE_OK, "the shim is registered");
            let extended = ffi::sqlite3_auto_extension(Some(opened));
            assert_eq!(extended, ffi::SQLITE_OK, "new connections are seen");
            Below(below)
        }
    });
}

thread_local! {
    /// The connection that this thread opened last: its first pragmas come next.
    static OPENED: Cell<*mut ffi::sqlite3> = const { Cell::new(ptr::null_mut()) };
}

/// Called with each new connection.
unsafe extern "C" fn opened(
    db: *mut ffi::sqlite3,
    _: *mut *mut c_char,
    _: *const ffi::sqlite3_api_routines,
) -> c_int {
    OPENED.set(db);
    if !HASTY.load(Ordering::SeqCst) {
        return ffi::SQLITE_OK;
    }
    let (sql, none) = (c"PRAGMA synchronous = NORMAL", ptr::null_mut());
    // SAFETY: SQLite hands in an open connection.
    unsafe { ffi::sqlite3_exec(db, sql.as_ptr(), None, none, ptr::null_mut()) }
}

/// An open file of ours; the file of the VFS below lies behind it in the same memory.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    /// What is watched, from `Box::into_raw`; null for all else.
    watched: *mut Watched,
}

struct Watched {
    disk: Arc<Disk>,
    name: String,
}

/// The disk and the name of a watched file.
///
/// # Safety
/// `path` is null or a C string.
unsafe fn watched(path: *const c_char) -> Option<Watched> {
    if path.is_null() {
        return None;
    }
    // SAFETY: the caller's.
    let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()));
    let watched = WATCHED.lock().unwrap_or_else(|e| e.into_inner());
    let disk = watched.as_ref()?.get(path.parent()?)?.clone();
    Some(Watched { disk, name: path.file_name()?.to_string_lossy().into_owned() })
}

fn below() -> *mut ffi::sqlite3_vfs {
    BELOW.get().map_or(ptr::null_mut(), |b| b.0)
}

/// The file of the VFS below.
///
/// # Safety
/// `file` was opened by [`open`], which got memory for both.
unsafe fn inner(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: szOsFile is the sum of both sizes, and both are aligned to 8.
    unsafe { file.cast::<File>().add(1).cast() }
}

/// # Safety
/// `file` was opened by [`open`] and is not closed.
unsafe fn seen<'a>(file: *mut ffi::sqlite3_file) -> Option<&'a Watched> {
    // SAFETY: `watched` is null or a box that lives until xClose.
    unsafe { (*file.cast::<File>()).watched.as_ref() }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives szOsFile bytes at `file`; the VFS below gets those behind ours, and the
    // name as it came, with what SQLite keeps behind it.
    unsafe {
        let ours = file.cast::<File>();
        (*ours).base.pMethods = ptr::null();
        (*ours).watched = ptr::null_mut();
        let real = inner(file);
        (*real).pMethods = ptr::null();
        let Some(open) = (*below()).xOpen else { return ffi::SQLITE_CANTOPEN };
        let watched = watched(name);
        if watched.as_ref().is_some_and(|w| w.disk.is_off()) {
            return ffi::SQLITE_CANTOPEN;
        }
        let opened = open(below(), name, real, flags, out);
        if !(*real).pMethods.is_null() {
            (*ours).base.pMethods = &METHODS;
            (*ours).watched = watched.map_or(ptr::null_mut(), |w| Box::into_raw(Box::new(w)));
        }
        opened
    }
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: a C string by SQLite's contract.
    unsafe {
        if let Some(w) = watched(name)
            && w.disk.delete(&w.name, sync != 0) == Fate::Off
        {
            return ffi::SQLITE_IOERR_DELETE;
        }
        (*below()).xDelete.map_or(ffi::SQLITE_IOERR_DELETE, |delete| delete(below(), name, sync))
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};

/// Calls the same method of the file below; `$none` where it has none.
macro_rules! forward {
    ($file:ident, $method:ident, $none:expr $(, $arg:expr)*) => {{
        // SAFETY: SQLite calls methods of files that `open` opened, with arguments as the method
        // below takes them.
        unsafe {
            let real = inner($file);
            (*(*real).pMethods).$method.map_or($none, |method| method(real $(, $arg)*))
        }
    }};
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let closed = forward!(file, xClose, ffi::SQLITE_OK);
    // SAFETY: closed once; the box was made by `open`.
    unsafe {
        let watched = (*file.cast::<File>()).watched;
        if !watched.is_null() {
            drop(Box::from_raw(watched));
        }
    }
    closed
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    to: *mut c_void,
    len: c_int,
    at: i64,
) -> c_int {
    // SAFETY: an open file of ours.
    if unsafe { seen(file) }.is_some_and(|w| w.disk.reads() == Fate::Off) {
        return ffi::SQLITE_IOERR_READ;
    }
    forward!(file, xRead, ffi::SQLITE_IOERR, to, len, at)
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    len: c_int,
    at: i64,
) -> c_int {
    // SAFETY: an open file of ours, and `len` bytes at `from`.
    if let Some(w) = unsafe { seen(file) } {
        let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), len as usize) };
        match w.disk.write(&w.name, at as u64, bytes) {
            Fate::Done => {}
            Fate::Full => return ffi::SQLITE_FULL,
            Fate::Off => return ffi::SQLITE_IOERR_WRITE,
        }
    }
    forward!(file, xWrite, ffi::SQLITE_IOERR, from, len, at)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: an open file of ours.
    if let Some(w) = unsafe { seen(file) }
        && w.disk.truncate(&w.name, size as u64) != Fate::Done
    {
        return ffi::SQLITE_IOERR_TRUNCATE;
    }
    forward!(file, xTruncate, ffi::SQLITE_IOERR, size)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: an open file of ours.
    if let Some(w) = unsafe { seen(file) } {
        // The disk knows what is safe: the machine's own need not be waited for.
        return match w.disk.sync(&w.name) {
            Fate::Done => ffi::SQLITE_OK,
            Fate::Full | Fate::Off => ffi::SQLITE_IOERR_FSYNC,
        };
    }
    forward!(file, xSync, ffi::SQLITE_IOERR, flags)
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    what: c_int,
    with: *mut c_void,
) -> c_int {
    if what == ffi::SQLITE_FCNTL_PRAGMA {
        let pragma = with.cast::<*const c_char>();
        // SAFETY: for a pragma SQLite hands in its name and its value as C strings, the latter
        // null where there is none.
        let deaf = unsafe {
            let (name, value) = (*pragma.add(1), *pragma.add(2));
            !value.is_null() && ours(CStr::from_ptr(name), CStr::from_ptr(value))
        };
        if deaf {
            return ffi::SQLITE_OK;
        }
    }
    forward!(file, xFileControl, ffi::SQLITE_NOTFOUND, what, with)
}

/// Is this a setting that is made otherwise here than the product asks for?
fn ours(name: &CStr, value: &CStr) -> bool {
    let hasty = HASTY.load(Ordering::SeqCst);
    if name == c"wal_autocheckpoint" && value == c"4000" && !hasty {
        // What was written is moved into the main file every few commits, so that a round of some
        // hundred writes is cut in the middle of that, too.
        // SAFETY: the connection runs this very pragma.
        return unsafe { ffi::sqlite3_wal_autocheckpoint(OPENED.get(), 25) } == ffi::SQLITE_OK;
    }
    name == c"synchronous" && value == c"FULL" && hasty
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    forward!(file, xFileSize, ffi::SQLITE_IOERR, size)
}
unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, how: c_int) -> c_int {
    forward!(file, xLock, ffi::SQLITE_IOERR, how)
}
unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, how: c_int) -> c_int {
    forward!(file, xUnlock, ffi::SQLITE_IOERR, how)
}
unsafe extern "C" fn check_reserved(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    forward!(file, xCheckReservedLock, ffi::SQLITE_IOERR, out)
}
unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    forward!(file, xSectorSize, 512)
}
unsafe extern "C" fn characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    forward!(file, xDeviceCharacteristics, 0)
}
unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    forward!(file, xShmMap, ffi::SQLITE_IOERR, page, size, extend, out)
}
unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    at: c_int,
    n: c_int,
    flags: c_int,
) -> c_int {
    forward!(file, xShmLock, ffi::SQLITE_IOERR, at, n, flags)
}
unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    forward!(file, xShmBarrier, ())
}
unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    forward!(file, xShmUnmap, ffi::SQLITE_IOERR, delete)
}
unsafe extern "C" fn fetch(
    file: *mut ffi::sqlite3_file,
    at: i64,
    len: c_int,
    out: *mut *mut c_void,
) -> c_int {
    forward!(file, xFetch, ffi::SQLITE_IOERR, at, len, out)
}
unsafe extern "C" fn unfetch(file: *mut ffi::sqlite3_file, at: i64, page: *mut c_void) -> c_int {
    forward!(file, xUnfetch, ffi::SQLITE_IOERR, at, page)
}
