/** The API's own process, in which a defect can be made to happen: a rejection that nobody handles. */
import './main.ts';

process.on('SIGUSR2', () => void Promise.reject(new Error('a defect')));
