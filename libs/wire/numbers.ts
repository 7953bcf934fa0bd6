/** Numbers of model versions and generations: on the wire they are texts. */

export const NUMBER_TEXT = /^[1-9][0-9]{0,8}$/;
