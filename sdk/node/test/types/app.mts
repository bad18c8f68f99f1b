// Compiled, not run: what TypeScript applications write.
import { Server } from "socket.io";
import { attach, type AttachOptions, Link } from "tidegate";

interface FromClient {
  hello: (text: string, ack: (answer: number) => void) => void;
}
interface ToClient {
  news: (text: string) => void;
}
interface BetweenServers {
  reload: (what: string) => void;
}
interface Data {
  user: string;
}

const io = new Server<FromClient, ToClient, BetweenServers, Data>();
const options: AttachOptions = { path: "/run/x.sock", reconnect: { minDelay: 10 }, namespaces: ["/"] };
const link: Link = await attach(io, options);
link.on("disconnect", (error) => console.log(error?.message));
link.once("peers", (count) => count.toFixed());
link.on("handover", (socket) => socket.id.length);
io.on("connection", (socket) => {
  socket.data.user = "u";
  socket.on("hello", (text, ack) => ack(text.length));
  socket.emit("news", socket.recovered ? "back" : "new");
});
await link.drain({ grace: 1000 });
await link.unref().ref().close();

// @ts-expect-error: there is no such option
await attach(io, { pth: "x" });
// @ts-expect-error: there is no such event
link.on("closed", () => {});
// @ts-expect-error: links come from attach()
new Link();
