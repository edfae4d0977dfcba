// Something to import.
export const answer = 42;
