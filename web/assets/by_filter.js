// What a filter of the list of tasks has, ended or run again at once. The server counts first, and
// nothing is done before that was seen.
import {ask} from "./api.js";
import {count, quote} from "./format.js";

const some = (n, words) => (n ? [count(n) + " " + words] : []);

const tasks = (n) => count(n) + (n === 1 ? " task" : " tasks");

// Of states that an end is not far from, the server knows one word.
const WORDS = {pending: "queued", assigned: "running"};

const described = (where) => Object.entries(where).map((pair) => pair.join(" ")).join(", ");

// A filter of what is not over, as POST /api/v1/tasks:cancel has it; without one, it is all that
// was ever submitted.
function whereOf({name, priority, status}) {
  const where = {};
  if (name) where.name = name;
  if (priority) where.priority = priority;
  if (status) where.status = WORDS[status] ?? status;
  return Object.keys(where).length ? where : {older: 0};
}

export function cancelByFilter(filter) {
  const where = whereOf(filter), all = "older" in where;
  const line = Object.entries(where).map(([key, value]) =>
    `${key}=${key === "older" ? "0s" : value}`).join(",");
  return {title: "Cancel by filter", label: "Cancel all of them", danger: true,
    path: "/api/v1/tasks:cancel", body: {where},
    text: "Everything that is not over" + (all ? ". " : `, with ${described(where)}. `) +
      "What waits ends at once; what runs is told, and ends when it looks.",
    cli: "fastworker cancel --where " + quote(line),
    preview: async (request) => {
      const {matched, cancelled, asked} = await ask(request.path,
        {method: "POST", body: {where, dry_run: true}});
      const kinds = [...some(cancelled.queued, "queued"),
        ...some(cancelled.scheduled, "scheduled"), ...some(cancelled.retrying, "between two runs"),
        ...some(asked, "running")];
      return `${tasks(matched)} fit${matched === 1 ? "s" : ""} now` +
        (kinds.length > 1 ? ": " + kinds.join(", ") : "");
    },
    done: ({matched, asked, late}) => [`Cancelled ${count(matched - asked - late)}`,
      ...some(asked, "were told to end"), ...some(late, "were over before")].join(", ")};
}

// As the command line names a filter of dead tasks.
export const flagsOf = (body) => Object.entries(body).map(([key, value]) =>
  "--" + key + (value === true ? "" : " " + quote(value))).join(" ");

// Only what was given up can run again.
export function retryByFilter({name, priority}) {
  const choice = {...(name && {name}), ...(priority && {priority})};
  const body = Object.keys(choice).length ? choice : {all: true};
  return {title: "Retry by filter", label: "Run all of them again", path: "/api/v1/dead:retry",
    body, text: "Every task of the dead set" + (body.all ? "" : ` with ${described(choice)}`) +
      ", under its id and with all its retries. Failures that are not in it cannot run again.",
    preview: async (request) => {
      const {matched} = await ask(request.path, {method: "POST", body: {...body, dry_run: true}});
      return `${tasks(matched)} fit${matched === 1 ? "s" : ""} now`;
    },
    cli: "fastworker dead retry " + flagsOf(body),
    done: ({retried}) => `${tasks(retried)} run again`};
}
