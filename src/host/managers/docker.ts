// State of a service in a container, as the engine tells it over its socket.

import { request } from 'node:http';
import type { ServiceFacts, ServiceState } from '../contract.ts';
import { isPlainName, type ManagerMeans, unknownState } from './manager.ts';

export const DOCKER_SOCKET = '/var/run/docker.sock';

/** `State` of the engine's answer to GET /containers/NAME/json. */
interface ContainerState {
  readonly Running: boolean;
  readonly Restarting: boolean;
  readonly OOMKilled: boolean;
  readonly Pid: number;
  readonly ExitCode: number;
  readonly Status: string;
}

const TIMEOUT_MS = 5_000;
const ANSWER_CAP = 1024 * 1024;
/** The exit code after `docker stop` (TERM, or KILL when that is ignored) and after Ctrl-C. */
const STOP_CODES: ReadonlySet<number> = new Set([0, 130, 137, 143]);

export async function dockerState(
  service: ServiceFacts,
  means: ManagerMeans,
  container: string,
  socket: string,
): Promise<ServiceState> {
  if (!isPlainName(container)) return unknownState(`"${container}" is not the plain name of a container`);
  const answer = await inspect(socket, container);
  if (typeof answer === 'string') return unknownState(`docker: ${answer}`);
  const process = answer.Pid > 0 ? await means.processes.process(answer.Pid) : null;
  const starts = process
    ? await means.memory.note(service.name, process, [])
    : ((await means.memory.last(service.name))?.starts.length ?? 0);
  return {
    running: answer.Restarting ? 'unknown' : answer.Running,
    process,
    // The engine does not say who ended it. A kill for lack of memory is marked; other kills are a person's.
    stoppedOnPurpose: !answer.Running && !answer.Restarting && !answer.OOMKilled && STOP_CODES.has(answer.ExitCode),
    recentStarts: starts,
    supervisorGaveUp: false,
    evidence: `docker: ${container} is ${answer.Status}, exit code ${answer.ExitCode}${answer.OOMKilled ? ', killed for lack of memory' : ''}`,
  };
}

function inspect(socketPath: string, container: string): Promise<ContainerState | string> {
  return new Promise((resolve) => {
    const path = `/containers/${encodeURIComponent(container)}/json`;
    const call = request({ socketPath, path, timeout: TIMEOUT_MS }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= ANSWER_CAP) chunks.push(chunk);
        else call.destroy(new Error('the answer is too long'));
      });
      response.on('end', () => resolve(parseAnswer(response.statusCode ?? 0, Buffer.concat(chunks).toString('utf8'))));
    });
    call.on('timeout', () => call.destroy(new Error('no answer')));
    call.on('error', (error) => resolve(error.message));
    call.end();
  });
}

function parseAnswer(status: number, text: string): ContainerState | string {
  if (status === 404) return 'no such container';
  if (status !== 200) return `the engine answers with status ${status}`;
  try {
    const { State: state } = JSON.parse(text) as { State?: Partial<ContainerState> };
    if (typeof state?.Running !== 'boolean' || typeof state.Status !== 'string') return 'an answer without a state';
    return {
      Running: state.Running,
      Restarting: state.Restarting === true,
      OOMKilled: state.OOMKilled === true,
      Pid: Number(state.Pid ?? 0),
      ExitCode: Number(state.ExitCode ?? 0),
      Status: state.Status,
    };
  } catch {
    return 'an answer that is no JSON';
  }
}
