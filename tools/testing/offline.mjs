// Loaded by --import: connections leave this machine in no test, so a snippet that needs the network fails at once.
import net from "node:net";

const LOCAL = new Set(["127.0.0.1", "::1", "localhost", undefined]);
const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function (...args) {
  const [first] = Array.isArray(args[0]) ? args[0] : args;
  const host = typeof first === "object" && first !== null ? first.host : undefined;
  if (!LOCAL.has(host) && !first?.path) {
    throw new Error(`no network in tests: this wanted to connect to ${host}`);
  }
  return connect.apply(this, args);
};
