/** The API process, in which a test can cause a defect: an unhandled rejection. */
import './main.ts';

process.on('SIGUSR2', () => void Promise.reject(new Error('a defect')));
