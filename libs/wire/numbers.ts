/** Numbers of model versions and generations, which are texts on the wire. */

export const NUMBER_TEXT = /^[1-9][0-9]{0,8}$/;
