// The chat page. Words with the server: `enter` nickname and `say` text, both acknowledged with {ok, error?};
// back come `message`, `joined`, `left` and, from servers that others take over from, `count`. Whatever a user wrote reaches the page as text, never as HTML.

const LINES_MAX = 500; // Lines kept in the page; older ones go.
const ANSWER_MS = 8000; // How long the server may take to acknowledge.
const RETURN_MS = 2000; // Pause before coming back after being shown the door.
const GROUP_MS = 3 * 60 * 1000; // Follow-ups within this time need no second byline.
const BOTTOM_PX = 48; // This close to the end counts as being there.

const $ = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const title = document.title;

let nickname = null; // Set from the moment the user asks to come in.
let inside = false; // Whether the server has let this connection in.
let everInside = false;
let revision = -1; // Of the user count shown; an older one may arrive later from another core.
let previous = null; // The last message, if nothing came in between.
let unread = 0;

const socket = connect();

function connect() {
  const script = document.querySelector('script[src$="socket.io.min.js"]');
  if (typeof io === "undefined") {
    const missing = `The Socket.IO client could not be loaded from ${script.getAttribute("src")}.`;
    $("join-error").textContent = `${missing} Tidegate serves it if it is started with --client-dir.`;
    $("enter").disabled = true;
    return null;
  }
  // The client lies next to the endpoint, so a gateway with another --path needs no other page.
  return io({ path: new URL(".", script.src).pathname });
}

// ---- coming in -------------------------------------------------------------------------------------------------

function enter() {
  socket.timeout(ANSWER_MS).emit("enter", nickname, (failure, answer) => {
    if (failure && !everInside) return refuse("The server does not answer. Try again.");
    if (failure) return retry(); // A new connection tries anew.
    if (!answer.ok) return refuse(answer.error);
    arrive(answer);
  });
}

/** Starts over. Does nothing if the client is already on its way back. */
function retry() {
  if (socket.connected) socket.disconnect().connect();
}

function arrive(answer) {
  inside = true;
  revision = -1;
  showCount(answer);
  online();
  if (everInside) return addNotice("", "You are back", Date.now());
  everInside = true;
  remember(nickname);
  $("welcome").hidden = true;
  $("chat").hidden = false;
  addNotice(nickname, "(you) joined", Date.now());
  $("input").focus();
}

function refuse(reason) {
  nickname = null;
  inside = everInside = false;
  $("chat").hidden = true;
  $("welcome").hidden = false;
  $("enter").disabled = false;
  $("join-error").textContent = reason;
  $("nickname").focus();
}

function remember(name) {
  try {
    localStorage.setItem("nickname", name);
  } catch {
    // Storage is switched off: the user types the name again next time.
  }
}

function remembered() {
  try {
    return localStorage.getItem("nickname") ?? "";
  } catch {
    return "";
  }
}

$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = $("nickname").value.trim();
  if (wanted === "") {
    $("join-error").textContent = "Please choose a nickname.";
    return $("nickname").focus();
  }
  nickname = wanted;
  $("join-error").textContent = socket.connected ? "" : "Connecting…";
  $("enter").disabled = true;
  if (socket.connected) enter();
});

// ---- the connection --------------------------------------------------------------------------------------------

function online() {
  document.body.classList.remove("offline");
  $("status").hidden = true;
  updateSend();
}

function offline(text) {
  inside = false;
  document.body.classList.add("offline");
  tell(text);
  updateSend();
}

function tell(text) {
  $("status").textContent = text;
  $("status").hidden = false;
}

socket?.on("connect", () => {
  if (nickname !== null) enter();
});
socket?.on("disconnect", (reason) => {
  offline("Connection lost. Reconnecting…");
  // The client comes back by itself, except when the server closed the socket on purpose.
  if (reason === "io server disconnect") setTimeout(() => socket.connect(), RETURN_MS);
});
socket?.on("connect_error", () => {
  if (nickname !== null && !everInside) $("join-error").textContent = "The server cannot be reached. Trying again…";
});

// ---- what happens in the room ----------------------------------------------------------------------------------

socket?.on("message", addMessage);
socket?.on("joined", (who) => {
  showCount(who);
  addNotice(who.author, "joined", who.time);
});
socket?.on("left", (who) => {
  showCount(who);
  addNotice(who.author, "left", who.time);
});
socket?.on("count", showCount);

function showCount(news) {
  if (news.revision <= revision) return;
  revision = news.revision;
  $("count").textContent = news.count;
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function timeElement(millis) {
  const time = element("time", "time", clock.format(millis));
  time.dateTime = new Date(millis).toISOString();
  return time;
}

/** A colour that is the same for a name on every screen. */
function hueOf(name) {
  let hash = 7;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) % 360;
  return hash;
}

function addMessage({ from, author, text, time }) {
  const line = element("li", "message fresh");
  line.style.setProperty("--hue", hueOf(author));
  line.classList.toggle("own", from === socket.id);
  line.classList.toggle("grouped", previous?.from === from && time - previous.time < GROUP_MS);
  const avatar = element("span", "avatar", [...author][0].toUpperCase());
  avatar.setAttribute("aria-hidden", "true");
  const byline = element("div", "byline");
  byline.append(element("span", "author", author), timeElement(time));
  line.append(avatar, byline, element("div", "text", text));
  append(line, from !== socket.id);
  previous = { from, time };
}

function addNotice(author, what, time) {
  const line = element("li", "notice fresh");
  const text = element("span", "");
  if (author !== "") text.append(element("b", "", author), " ");
  text.append(what);
  line.append(text, timeElement(time));
  append(line, false);
  previous = null;
}

// ---- scrolling -------------------------------------------------------------------------------------------------

function atBottom() {
  const { scrollHeight, scrollTop, clientHeight } = $("scroll");
  return scrollHeight - scrollTop - clientHeight < BOTTOM_PX;
}

function toBottom() {
  $("scroll").scrollTop = $("scroll").scrollHeight;
}

/** Adds a line; follows it only if the reader is at the end, or wrote it. */
function append(line, byOther) {
  const own = line.classList.contains("own");
  const follow = own || atBottom();
  if (line.classList.contains("message")) $("empty").hidden = true;
  $("messages").append(line);
  while ($("messages").childElementCount > LINES_MAX) $("messages").firstElementChild.remove();
  if (follow) toBottom();
  if (byOther && (document.hidden || !follow)) showUnread(unread + 1);
}

function showUnread(count) {
  unread = count;
  document.title = count > 0 ? `(${count}) ${title}` : title;
  $("unread").textContent = count === 1 ? "1 new message ↓" : `${count} new messages ↓`;
  $("unread").hidden = count === 0 || atBottom();
}

function readIfAtBottom() {
  if (!document.hidden && unread > 0 && atBottom()) showUnread(0);
}

$("scroll").addEventListener("scroll", readIfAtBottom, { passive: true });
document.addEventListener("visibilitychange", readIfAtBottom);
$("unread").addEventListener("click", () => {
  toBottom();
  $("input").focus();
});

// A keyboard on a phone, or a growing field, takes height away from the list: stay at the end if we were there.
let pinned = true;
$("scroll").addEventListener("scroll", () => (pinned = atBottom()), { passive: true });
new ResizeObserver(() => pinned && toBottom()).observe($("scroll"));

// ---- writing ---------------------------------------------------------------------------------------------------

function updateSend() {
  $("send").disabled = !inside || $("input").value.trim() === "";
}

function say() {
  const text = $("input").value.trim();
  if (text === "" || !inside) return;
  $("input").value = "";
  updateSend();
  socket.timeout(ANSWER_MS).emit("say", text, (failure, answer) => {
    if (!failure && answer.ok) {
      if (inside) online();
      return;
    }
    // Not sent: the words go back to where they can be sent again, unless others are there already.
    if ($("input").value === "") $("input").value = text;
    if (inside) tell(failure ? "Your message was not sent. Try again." : answer.error);
    updateSend();
  });
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  say();
});
$("input").addEventListener("input", updateSend);
$("input").addEventListener("keydown", (event) => {
  // Enter that ends the composition of a character is not meant for us.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  say();
});

$("nickname").value = remembered();
$("nickname").focus();
